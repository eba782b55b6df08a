# cmake -DOUTPUT=x.cc -DHEADER=path/of.h "-DTEXTS=kName=file kOther=file+file" -P EmbedTexts.cmake
# Writes a source that defines each text, one file or several after another, as the std::string_view
# of that name.
separate_arguments(TEXTS)
set(source "#include \"${HEADER}\"\n\nnamespace stylex {\n")
foreach(pair ${TEXTS})
  string(REGEX MATCH "^([^=]+)=(.+)$" pair "${pair}")
  set(name ${CMAKE_MATCH_1})
  string(REPLACE "+" ";" files "${CMAKE_MATCH_2}")
  # A literal for each: one may have 65536 characters.
  set(literals "")
  foreach(file ${files})
    file(READ "${file}" text)
    string(APPEND literals "\n    R\"~embedded~(${text})~embedded~\"")
  endforeach()
  string(APPEND source "\nconst std::string_view ${name} =${literals};\n")
endforeach()
string(APPEND source "\n}  // namespace stylex\n")
file(WRITE ${OUTPUT} "${source}")
