/* The files of MNIST and Fashion-MNIST. */
#ifndef EBB_HOST_DATA_MNIST_H
#define EBB_HOST_DATA_MNIST_H

#include "host/data/data_file.h"
#include "host/data/idx.h"

enum { EBB_MNIST_CLASSES = 10, EBB_MNIST_SIDE = 28 };

typedef struct EbbMnistFiles {
  EbbDataFile file[2];
  EbbIdx images, labels; /* inside the files */
} EbbMnistFiles;

/* part 0: training, 1: test. Lifetime: ebb_mnist_release, also after an error. Errors: those of the files,
   FORMAT (images of another size, another number of labels, a label above 9). */
EbbStatus ebb_mnist_read(const EbbDataSource *source, int part, EbbMnistFiles *out) EBB_MUST_CHECK;
void ebb_mnist_release(EbbMnistFiles *files);

#endif
