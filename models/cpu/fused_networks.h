// Generator, encoder and discriminator computed by the fused layers (fused_layers.h), for training
// on the CPU: the same functions of the same weights as their own forward passes, up to rounding.
// `type` is that of the activations, float32 or bfloat16; what the networks read and give is
// float32, and so are styles, the fully connected layers and the convolution at 4x4.
#ifndef STYLEX_MODELS_CPU_FUSED_NETWORKS_H_
#define STYLEX_MODELS_CPU_FUSED_NETWORKS_H_

#include <torch/types.h>

#include <vector>

#include "models/networks/discriminator.h"
#include "models/networks/generator.h"

namespace stylex {

// Whether this processor multiplies in bfloat16 (AVX512-BF16, which processors with AMX have, too)
// and LibTorch makes use of it.
bool CpuMultipliesInBfloat16();

// As GeneratorImpl::synthesize with fresh noise. Layers whose noise is off for good, because its
// strength is 0 and not trained, draw none.
torch::Tensor FusedSynthesize(Generator generator, const StyleVectors& styles,
                              torch::ScalarType type);

// As EncoderImpl::forward.
torch::Tensor FusedEncode(Encoder encoder, const torch::Tensor& images, torch::ScalarType type);

// As DiscriminatorImpl::forward; the features are of type `type`.
torch::Tensor FusedDiscriminate(Discriminator discriminator, const torch::Tensor& images,
                                const torch::Tensor& probabilities, torch::ScalarType type,
                                std::vector<torch::Tensor>* features = nullptr);

}  // namespace stylex

#endif  // STYLEX_MODELS_CPU_FUSED_NETWORKS_H_
