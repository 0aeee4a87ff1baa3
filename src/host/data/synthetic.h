/* Tasks whose samples are made from a seed: what a sequence model can remember, and for how long. Sample i is
   a function of (dataset.seed, i) alone. dataset.n_samples are made, of which the first are for training and
   dataset.val_split each, at least one, for validation and test. */
#ifndef EBB_HOST_DATA_SYNTHETIC_H
#define EBB_HOST_DATA_SYNTHETIC_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copying memory: M = dataset.l_memorize symbols drawn from 1 .. A-2, then T = dataset.l_noise blanks (0),
   then M markers, A = dataset.n_tokens; token ids are one more, 0 being padding. The answer, a class a
   step, is blank for M + T steps and then the symbols. A model without memory has at best the loss
   M log(A-2) / (2M + T). Source: Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016, "Unitary Evolution
   Recurrent Neural Networks", section 5.1; the layout of state-spaces/s4. */
EbbStatus ebb_copying_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

/* Adding: dataset.length steps of a number uniform in 0..1 and a mark, which is 1 once in each half and else
   0. The target is the sum of the two marked numbers; always answering 1 has the mean squared error 1/6.
   Source: Hochreiter and Schmidhuber 1997; the form of Le et al. 2015 and Arjovsky et al. 2016. */
EbbStatus ebb_adding_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

/* Delay: a signal of dataset.length steps with every whole frequency from 1 to dataset.freq cycles a sample,
   of equal expected power, rms 0.5, shifted to begin at 0; the target of a step is the signal dataset.lag
   steps ago, 0 before. Source: Voelker et al. 2019, "Legendre Memory Units", section 3.1; nengo's whitesignal
   as state-spaces/s4 uses it. */
EbbStatus ebb_delay_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
