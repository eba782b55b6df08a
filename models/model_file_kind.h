// Recognises what kind of model a file holds, by its content: for error messages when it is not the
// TorchScript file that is needed.
#ifndef STYLEX_MODELS_MODEL_FILE_KIND_H_
#define STYLEX_MODELS_MODEL_FILE_KIND_H_

#include <string>

namespace stylex {

// E.g. "an ONNX model", or "TorchScript"; empty if it is none of the known kinds.
std::string ModelFileKind(const std::string& path);

// How a network becomes the file that is needed, as a sentence.
inline constexpr char kHowToScript[] =
    "A TorchScript file is needed, which contains the network's code: in Python, "
    "torch.jit.script(model.eval()).save(\"model.pt\"), or torch.jit.trace";

}  // namespace stylex

#endif  // STYLEX_MODELS_MODEL_FILE_KIND_H_
