# Every outside library in one place. All of them are packages of Debian 12 and 13
# (deploy/packages.txt); LibTorch may also be an upstream 2.x, given by -DTorch_DIR or CMAKE_PREFIX_PATH.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)  # the module: Debian packages no config for it
find_package(absl CONFIG REQUIRED)
find_package(PNG REQUIRED)
find_package(GIF REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(JPEG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(WebP REQUIRED IMPORTED_TARGET libwebp)
if(STYLEX_SERVING)
  pkg_check_modules(Spdlog REQUIRED IMPORTED_TARGET spdlog)
  find_package(nlohmann_json 3.11 REQUIRED)
  pkg_check_modules(Httplib REQUIRED IMPORTED_TARGET cpp-httplib)
  find_package(gRPC CONFIG REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED)
  # pkg-config's -pthread defines _REENTRANT, which the precompiled header is built without; glibc
  # needs neither.
  set_property(TARGET re2::re2 PROPERTY INTERFACE_COMPILE_OPTIONS "")
  find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
endif()
if(STYLEX_TORCH)
  find_package(Boost CONFIG REQUIRED)  # headers alone: the checks of TensorBoard's records
  include(cmake/TorchWheel.cmake)
  if(NOT TORCH_LIBRARIES)
    find_package(Torch REQUIRED)
  endif()
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
if(STYLEX_TESTS)
  find_package(GTest REQUIRED)
endif()
