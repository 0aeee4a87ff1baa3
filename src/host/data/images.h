/* Images as sequences of pixels, as the published S4 code makes them. dataset.permute gives the order of the
   pixels; of the training images a permutation (torch's, seed dataset.seed) sets the share dataset.val_split
   aside for validation. */
#ifndef EBB_HOST_DATA_IMAGES_H
#define EBB_HOST_DATA_IMAGES_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CIFAR-10, binary version: data_batch_1.bin .. data_batch_5.bin and test_batch.bin (or .gz) in the folder or
   in cifar-10-batches-bin/ there; 1024 steps, 10 classes. dataset.grayscale: one value, (L - 122.6) / 61 with
   L = (19595 R + 38470 G + 7471 B + 32768) >> 16, as PIL has it; with dataset.tokenize the token L. Without
   grayscale three values, (c / 255 - mean) / deviation of each channel. */
EbbStatus ebb_cifar_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

/* MNIST and Fashion-MNIST, the four IDX files (or .gz): 784 steps of one value k / 255, in bit-reversed order
   where dataset.permute is auto, as published; 10 classes. The data sets smnist and fashion_mnist of
   sources.h are the same files as 28 steps of 28 values. */
EbbStatus ebb_mnist_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;
EbbStatus ebb_fashion_pixels_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

enum { EBB_CIFAR_SIDE = 32, EBB_CIFAR_PIXELS = EBB_CIFAR_SIDE * EBB_CIFAR_SIDE };

/* Records of one batch file. Errors: FORMAT, naming `origin` and the record (the length is no multiple of a
   record's, a label above 9, no record). */
EbbStatus ebb_cifar_check(const char *bytes, size_t length, const char *origin, int64_t *n) EBB_MUST_CHECK;

/* The grey value of a colour. */
uint8_t ebb_cifar_grey(unsigned red, unsigned green, unsigned blue);

#ifdef __cplusplus
}
#endif
#endif
