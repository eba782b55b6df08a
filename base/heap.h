// How the process's heap treats freed memory.
#ifndef STYLEX_BASE_HEAP_H_
#define STYLEX_BASE_HEAP_H_

namespace stylex {

// Tensors of a few MB come and go with every operator. By default glibc maps each anew, and the
// kernel clears its pages one fault at a time: a quarter of a training step. After this call freed
// memory is kept and used again; malloc_trim(0) still gives it back. To be called first in main;
// does nothing where the C library is another one.
void KeepFreedMemory();

}  // namespace stylex

#endif  // STYLEX_BASE_HEAP_H_
