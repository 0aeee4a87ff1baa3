/* State dicts of PyTorch, saved with safetensors.torch.save_file: their names and layouts become those of
   ebb's models. */
#ifndef EBB_STATE_DICT_H
#define EBB_STATE_DICT_H

#include "ebb/config.h"
#include "ebb/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbStateDict EbbStateDict;

/* Opens a file and renames its tensors. rename: "FROM=TO", where FROM is a name or its first parts between
   dots and TO what stands there instead; either may be empty; the first that fits a tensor counts. config
   (may be NULL): of the model that the weights are for. Where it names a recurrent cell, modules of ncps
   (`<any>.rnn_cell.*`, with lstm and fc beside it) and of torch.nn.LSTM become its layers `layers.<i>.layer`:
   one module of ncps a layer, several by the number at the end of their names, one LSTM as many layers as it
   has. LSTM weights are reordered to ncps's gates, the two biases added, and 1 taken off the forget gate's,
   which the cell adds. Errors: those of reading; INVALID (a rename that fits nothing or is none); UNSUPPORTED
   (GRU and RNN weights, LSTM with projection or in both directions); MISMATCH (a checkpoint of ebb); MEMORY.
 */
EbbStatus ebb_state_dict_open(const char *path, const char *const *rename, int n_renames,
                              const EbbConfig *config, EbbStateDict **out) EBB_MUST_CHECK;
void ebb_state_dict_close(EbbStateDict *dict);

/* What the weights tell of a user's own table: the data set without samples, its d_input and d_output from
   the shapes of the first layer and the decoder. Errors: MISMATCH names what was looked for. */
EbbStatus ebb_state_dict_sizes(const EbbStateDict *dict, const EbbConfig *config,
                               EbbDataset *out) EBB_MUST_CHECK;

/* Fills all parameters; nothing is changed unless everything fits. Sparsity masks of ncps must be the wiring
   of `model` (may be NULL). Parameters named liquid.* may be missing and are counted. Errors: MISMATCH lists
   names without a counterpart on both sides and the renaming that is likely meant, or says where the wirings
   differ; NUMERIC (a wider type's value beyond 32-bit floats); STATE (parameters not placed); MEMORY. */
EbbStatus ebb_state_dict_import(const EbbStateDict *dict, const EbbSequence *model, EbbParams *params,
                                int *liquid_missing) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
