# One library a folder, and only the folders it names can be included from it: each library exports
# an include directory that holds a single link, to its own folder. An include that breaks the
# dependency rule of the house therefore does not build.
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
  if(STYLEX_SANITIZE MATCHES thread)
    # Protobuf's headers give messages other layouts under this macro than the library was built with.
    target_compile_options(stylex_warnings INTERFACE -U__SANITIZE_THREAD__)
  endif()
endif()
if(STYLEX_FUZZ)
  target_compile_options(stylex_warnings INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(stylex_export_folder target folder)
  set(root ${CMAKE_BINARY_DIR}/include/${folder})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${root}/${folder} SYMBOLIC)
  target_include_directories(${target} PUBLIC ${root})
endfunction()

# LibTorch's headers dominate the build time: one precompiled header serves every target that has
# TORCH in its call. It is built once, in models/.
function(stylex_use_torch target)
  target_include_directories(${target} SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS})
  if(STYLEX_FUZZ)
    set(clang_needs "SHELL:-include ${CMAKE_SOURCE_DIR}/tests/fuzz/vector_for_clang.h")
    target_compile_options(${target} PRIVATE ${clang_needs})
  endif()
  # Without OpenMP in the compiler, at::parallel_for in our code would silently run on one thread.
  target_link_libraries(${target} PUBLIC ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
  if(NOT TARGET stylex_torch_pch)
    if(NOT EXISTS ${CMAKE_BINARY_DIR}/torch_pch.cc)  # writing it again would build it again
      file(WRITE ${CMAKE_BINARY_DIR}/torch_pch.cc "")
    endif()
    add_library(stylex_torch_pch OBJECT ${CMAKE_BINARY_DIR}/torch_pch.cc)
    target_link_libraries(stylex_torch_pch PUBLIC stylex_warnings)
    target_compile_options(stylex_torch_pch PRIVATE ${clang_needs})
    target_include_directories(stylex_torch_pch SYSTEM PUBLIC ${TORCH_INCLUDE_DIRS})
    target_link_libraries(stylex_torch_pch PUBLIC ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX
      Threads::Threads)
    target_precompile_headers(stylex_torch_pch PRIVATE <torch/torch.h> <absl/status/statusor.h>
      <absl/strings/str_cat.h> <string> <vector> <memory>)
  endif()
  target_precompile_headers(${target} REUSE_FROM stylex_torch_pch)
endfunction()

# stylex_library(FOLDER [TORCH] SRCS ... DEPS ... [PRIVATE_DEPS ...])
function(stylex_library folder)
  cmake_parse_arguments(ARG "TORCH" "" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  set(target stylex_${folder})
  add_library(${target} STATIC ${ARG_SRCS})
  add_library(stylex::${folder} ALIAS ${target})
  stylex_export_folder(${target} ${folder})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} Threads::Threads
                        PRIVATE ${ARG_PRIVATE_DEPS} stylex_warnings)
  if(ARG_TORCH)
    stylex_use_torch(${target})
  endif()
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

# stylex_test(NAME [TORCH] SRCS ... DEPS ... [LABELS ...] [TIMEOUT s])
function(stylex_test name)
  cmake_parse_arguments(ARG "TORCH" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} stylex_warnings GTest::gtest GTest::gmock
                        GTest::gtest_main Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(ARG_TORCH)
    stylex_use_torch(${name})
  endif()
  target_compile_definitions(${name} PRIVATE
    STYLEX_SOURCE_DIR="${CMAKE_SOURCE_DIR}" STYLEX_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set(suppressions ${CMAKE_SOURCE_DIR}/tests/tsan_suppressions.txt)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    ENVIRONMENT "OMP_WAIT_POLICY=passive;TSAN_OPTIONS=suppressions=${suppressions} ignore_noninstrumented_modules=1")
endfunction()
