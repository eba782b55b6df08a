# LibTorch with CUDA as PyPI's wheels bring it: SITE/torch beside SITE/nvidia, given by
# -DTorch_DIR=SITE/torch/share/cmake/Torch. Its own CMake package wants CUDA's compiler from everyone who
# links with it; what has no kernels of its own needs but headers and libraries. Sets what
# find_package(Torch) would set, where Torch_DIR is such a wheel; otherwise nothing.
if(Torch_DIR AND EXISTS ${Torch_DIR}/../../../lib/libtorch_cuda.so)
  get_filename_component(wheel ${Torch_DIR}/../../.. ABSOLUTE)
  file(GLOB cuda_headers ${wheel}/../nvidia/*/include/cuda_runtime_api.h)
  if(cuda_headers)
    list(GET cuda_headers 0 cuda_headers)
    cmake_path(GET cuda_headers PARENT_PATH cuda_headers)
    set(TORCH_INCLUDE_DIRS ${wheel}/include ${wheel}/include/torch/csrc/api/include ${cuda_headers})
    # The wheel's headers of fmt must not stand before those of the fmt that spdlog is linked with.
    if(STYLEX_SERVING)
      find_path(FMT_INCLUDE_DIR fmt/core.h REQUIRED)
      file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include/linked)
      file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${CMAKE_BINARY_DIR}/include/linked/fmt SYMBOLIC)
      list(PREPEND TORCH_INCLUDE_DIRS ${CMAKE_BINARY_DIR}/include/linked)
    endif()
    # Nothing of libtorch_cuda is called by name: it registers itself as it is loaded. The linker looks
    # into what that needs, the loader finds it by itself.
    set(TORCH_LIBRARIES -L${wheel}/lib -Wl,-rpath,${wheel}/lib -Wl,--no-as-needed
      torch torch_cpu torch_cuda c10 c10_cuda)
    file(GLOB needed LIST_DIRECTORIES true ${wheel}/../nvidia/*/lib)
    foreach(folder ${needed})
      list(APPEND TORCH_LIBRARIES -Wl,-rpath-link,${folder})
    endforeach()
    file(READ ${wheel}/version.py version)
    string(REGEX MATCH "__version__ = '([^']*)'" version "${version}")
    message(STATUS "LibTorch ${CMAKE_MATCH_1} of the wheel in ${wheel}")
  endif()
endif()
