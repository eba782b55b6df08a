#include "models/cpu/blas_threads.h"

#include <dlfcn.h>

namespace stylex {

void UseOneBlasThread() {
  static const bool done = [] {
    using SetThreads = void (*)(int);
    // LibTorch loads OpenBLAS at run time; there is nothing to link against.
    if (void* const found = dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
      reinterpret_cast<SetThreads>(found)(1);
    }
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace stylex
