# One library a folder (a room), and only the rooms it names can be included from it: each library
# exports an include directory that holds links to its own headers alone. An include that breaks the
# dependency rule (docs/architecture.md) therefore does not build.
add_library(stylex_warnings INTERFACE)
target_compile_options(stylex_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-unknown-pragmas
  $<$<NOT:$<BOOL:${STYLEX_NO_WERROR}>>:-Werror>
  # gcc 12 reports these inside inlined library code (protobuf, LibTorch), where we cannot mend them.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds
    -Wno-restrict -Wno-dangling-pointer>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(STYLEX_SANITIZE)
  target_compile_options(stylex_warnings INTERFACE
    -fsanitize=${STYLEX_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(stylex_warnings INTERFACE -fsanitize=${STYLEX_SANITIZE})
  # For code that must know; the compiler's own macro is not there for it with the thread sanitizer:
  target_compile_definitions(stylex_warnings INTERFACE STYLEX_SANITIZED)
  if(STYLEX_SANITIZE MATCHES thread)
    # Protobuf's headers give messages other layouts under this macro than the library was built with.
    target_compile_options(stylex_warnings INTERFACE -U__SANITIZE_THREAD__)
  endif()
endif()
if(STYLEX_FUZZ)
  target_compile_options(stylex_warnings INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The headers that stand in `folder` itself, not those of its subfolders.
function(stylex_export_headers target folder)
  set(root ${CMAKE_BINARY_DIR}/rooms/${folder})
  file(MAKE_DIRECTORY ${root}/${folder})
  file(GLOB headers RELATIVE ${CMAKE_SOURCE_DIR}/${folder} CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/${folder}/*.h)
  foreach(header ${headers})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder}/${header} ${root}/${folder}/${header} SYMBOLIC)
  endforeach()
  target_include_directories(${target} PUBLIC ${root})
endfunction()

# For tests, which may include all of `folder`.
function(stylex_export_folder target folder)
  set(root ${CMAKE_BINARY_DIR}/rooms/${folder}-folder)
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${root}/${folder} SYMBOLIC)
  target_include_directories(${target} PUBLIC ${root})
endfunction()

# Three precompiled headers, each built once: the headers of LibTorch, of gRPC and of GoogleTest cost
# more than most of our files. A file still includes what it uses; these only make that cheap.
#   torch:        what TORCH targets share. Not <torch/torch.h>: its container classes are instantiated
#                 again in every file that only has it precompiled, 4 s each.
#   torch_test:   the same with GoogleTest, for tests of TORCH targets.
#   service_test: the service's stubs with GoogleTest, for tests that speak gRPC.
set(STYLEX_TORCH_HEADERS <torch/types.h> <torch/utils.h> <torch/nn/module.h> <absl/status/statusor.h>
  <absl/strings/str_cat.h> <string> <vector> <memory>)
set(STYLEX_TEST_HEADERS <gmock/gmock.h> <gtest/gtest.h>)
set(STYLEX_SERVICE_HEADERS <grpcpp/grpcpp.h> <stylex/v1/explanation.grpc.pb.h>
  <grpc/health/v1/health.grpc.pb.h> <absl/status/statusor.h> <absl/strings/str_cat.h>)
# Tests are compiled in half the time at this level, and their own loops are short.
set(STYLEX_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)

# stylex_precompile(NAME DEPS ... HEADERS ... [OPTIONS ...]) makes stylex_NAME_pch, unless it is there.
function(stylex_precompile name)
  cmake_parse_arguments(ARG "" "" "DEPS;HEADERS;OPTIONS" ${ARGN})
  set(target stylex_${name}_pch)
  if(TARGET ${target})
    return()
  endif()
  set(source ${CMAKE_BINARY_DIR}/${name}_pch.cc)
  if(NOT EXISTS ${source})  # writing it again would build it again
    file(WRITE ${source} "")
  endif()
  add_library(${target} OBJECT ${source})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} stylex_warnings Threads::Threads)
  target_compile_options(${target} PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(${target} PRIVATE ${ARG_HEADERS})
endfunction()

# stylex_use_torch(TARGET [TEST])
function(stylex_use_torch target)
  cmake_parse_arguments(ARG "TEST" "" "" ${ARGN})
  if(NOT TARGET stylex_torch)
    add_library(stylex_torch INTERFACE)
    # Upstream's wheels bring headers of a Protocol Buffers of their own, which ours must go before.
    set(protobuf_first ${CMAKE_BINARY_DIR}/include/protobuf)
    file(MAKE_DIRECTORY ${protobuf_first}/google)
    file(CREATE_LINK ${Protobuf_INCLUDE_DIRS}/google/protobuf ${protobuf_first}/google/protobuf SYMBOLIC)
    target_include_directories(stylex_torch SYSTEM INTERFACE ${protobuf_first} ${TORCH_INCLUDE_DIRS})
    # Without OpenMP in the compiler, at::parallel_for in our code would silently run on one thread.
    target_link_libraries(stylex_torch INTERFACE ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang AND Torch_VERSION VERSION_LESS 2)
    set(clang_needs "SHELL:-include ${CMAKE_SOURCE_DIR}/tests/fuzz/vector_for_clang.h")
    target_compile_options(${target} PRIVATE ${clang_needs})
  endif()
  target_link_libraries(${target} PUBLIC stylex_torch)
  if(ARG_TEST)
    stylex_precompile(torch_test DEPS stylex_torch GTest::gtest GTest::gmock
      HEADERS ${STYLEX_TORCH_HEADERS} ${STYLEX_TEST_HEADERS}
      OPTIONS ${clang_needs} ${STYLEX_TEST_OPTIONS})
    target_compile_options(${target} PRIVATE ${STYLEX_TEST_OPTIONS})
    target_precompile_headers(${target} REUSE_FROM stylex_torch_test_pch)
  else()
    stylex_precompile(torch DEPS stylex_torch HEADERS ${STYLEX_TORCH_HEADERS} OPTIONS ${clang_needs})
    target_precompile_headers(${target} REUSE_FROM stylex_torch_pch)
  endif()
endfunction()

# For tests, and what only they use.
function(stylex_use_service_test_headers target)
  stylex_precompile(service_test
    DEPS stylex::proto_service stylex::proto_health GTest::gtest GTest::gmock
    HEADERS ${STYLEX_SERVICE_HEADERS} ${STYLEX_TEST_HEADERS} OPTIONS ${STYLEX_TEST_OPTIONS})
  target_compile_options(${target} PRIVATE ${STYLEX_TEST_OPTIONS})
  target_precompile_headers(${target} REUSE_FROM stylex_service_test_pch)
endfunction()

# Eight files at a time, where STYLEX_UNITY asks for it: LibTorch's and gRPC's templates, which every
# file instantiates again, are then instantiated once for eight. The presets debug and tsan compile each
# file alone, which also shows a forgotten include.
function(stylex_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${STYLEX_UNITY} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# stylex_library(FOLDER [TORCH] SRCS ... DEPS ... [PRIVATE_DEPS ...]) makes stylex::FOLDER, where a
# room inside a room, such as server/rpc, is called stylex::server_rpc.
function(stylex_library folder)
  cmake_parse_arguments(ARG "TORCH" "" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  set(target stylex_${name})
  add_library(${target} STATIC ${ARG_SRCS})
  add_library(stylex::${name} ALIAS ${target})
  stylex_export_headers(${target} ${folder})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} Threads::Threads
                        PRIVATE ${ARG_PRIVATE_DEPS} stylex_warnings)
  if(ARG_TORCH)
    stylex_use_torch(${target})
    stylex_unity(${target})
  endif()
endfunction()

# stylex_embed(HEADER OUT kName=file kOther=file+file ...) sets OUT to a source that defines the texts
# that HEADER declares, from files of this repository.
function(stylex_embed header out)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/resources.cc)
  string(REGEX REPLACE "(^|;)([^=;]+)=" "\\1\\2=${CMAKE_SOURCE_DIR}/" texts "${ARGN}")
  string(REPLACE "+" "+${CMAKE_SOURCE_DIR}/" texts "${texts}")
  string(REGEX REPLACE "(^|;)[^=;]+=" ";" files "${texts}")
  string(REPLACE "+" ";" files "${files}")
  list(REMOVE_ITEM files "")
  list(JOIN texts " " joined)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${source} -DHEADER=${header} "-DTEXTS=${joined}"
      -P ${CMAKE_SOURCE_DIR}/cmake/EmbedTexts.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/EmbedTexts.cmake VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()

# stylex_binary(NAME [TORCH] SRCS ... DEPS ...)
function(stylex_binary name)
  cmake_parse_arguments(ARG "TORCH" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} stylex_warnings Threads::Threads)
  if(ARG_TORCH)
    stylex_use_torch(${name})
  endif()
endfunction()

# stylex_test(NAME [TORCH | SERVICE] SRCS ... DEPS ... [LABELS ...] [TIMEOUT s])
function(stylex_test name)
  cmake_parse_arguments(ARG "TORCH;SERVICE" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} stylex_warnings GTest::gtest GTest::gmock
                        GTest::gtest_main Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(ARG_TORCH)
    stylex_use_torch(${name} TEST)
  elseif(ARG_SERVICE)
    stylex_use_service_test_headers(${name})
  endif()
  stylex_unity(${name})
  target_compile_definitions(${name} PRIVATE
    STYLEX_SOURCE_DIR="${CMAKE_SOURCE_DIR}" STYLEX_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(STYLEX_SANITIZE)
    math(EXPR ARG_TIMEOUT "5 * ${ARG_TIMEOUT}")  # everything takes several times as long
  endif()
  set(suppressions ${CMAKE_SOURCE_DIR}/tests/tsan_suppressions.txt)
  set(environment OMP_WAIT_POLICY=passive
    "TSAN_OPTIONS=suppressions=${suppressions} ignore_noninstrumented_modules=1")
  if(STYLEX_SANITIZE MATCHES thread AND "e2e" IN_LIST ARG_LABELS)
    # The thread sanitizer does not see how libgomp's threads wait for each other: servers compute on one.
    list(APPEND environment STYLEX_THREADS=1)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    ENVIRONMENT "${environment}")
endfunction()
