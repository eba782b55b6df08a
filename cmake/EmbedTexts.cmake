# cmake -DOUTPUT=x.cc -DHEADER=path/of.h "-DTEXTS=kName=file kOther=file" -P EmbedTexts.cmake
# Writes a source that defines each file's text as the std::string_view of that name.
separate_arguments(TEXTS)
set(source "#include \"${HEADER}\"\n\nnamespace stylex {\n")
foreach(pair ${TEXTS})
  string(REGEX MATCH "^([^=]+)=(.+)$" pair "${pair}")
  set(name ${CMAKE_MATCH_1})
  file(READ "${CMAKE_MATCH_2}" text)
  string(APPEND source "\nconst std::string_view ${name} = R\"~embedded~(${text})~embedded~\";\n")
endforeach()
string(APPEND source "\n}  // namespace stylex\n")
file(WRITE ${OUTPUT} "${source}")
