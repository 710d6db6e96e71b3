// Chains of sums and products with one number per channel, behind a convolution or a product.
#ifndef NNC_AFFINE_H
#define NNC_AFFINE_H

#include "ops/op.h"

// Those of a function's body, each in the form x * scale + shift; what they were stays behind,
// dead.
void affine_chains(Function *f);

#endif
