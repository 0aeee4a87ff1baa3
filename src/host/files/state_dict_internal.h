/* The inside of a state dict, shared by the files that rename and fit it. */
#ifndef EBB_HOST_STATE_DICT_INTERNAL_H
#define EBB_HOST_STATE_DICT_INTERNAL_H

#include "ebb/safetensors.h"
#include "ebb/state_dict.h"

typedef struct EbbStateTensor {
  char *name;             /* after renaming */
  EbbStoredTensor stored; /* its name: as in the file; data in the file or in `made` */
  float *made;            /* converted data, or NULL */
  bool dropped;           /* has become part of another one */
} EbbStateTensor;

struct EbbStateDict {
  char *path;
  EbbSafetensors *file;
  EbbStateTensor *tensor;
  size_t count, room;
};

/* Appends a tensor under a name of its own (copied), which `stored` and `made` describe; takes `made`.
   Errors: MEMORY. */
EbbStatus ebb_state_dict_add(EbbStateDict *dict, const char *name, const EbbStoredTensor *stored,
                             float *made) EBB_MUST_CHECK;
/* tensor->name = the formatted name. Errors: MEMORY. */
EbbStatus ebb_state_tensor_rename(EbbStateTensor *tensor, const char *format, ...)
    EBB_PRINTF(2, 3) EBB_MUST_CHECK;
/* The tensor of this name, or NULL. */
EbbStateTensor *ebb_state_dict_find(const EbbStateDict *dict, const char *name);

/* Modules of ncps and torch.nn.LSTM become layers.<i>.layer of n_layers. Errors: those of opening. */
EbbStatus ebb_state_dict_name_layers(EbbStateDict *dict, int64_t n_layers) EBB_MUST_CHECK;
/* weight_ih_l<k>, ... of layers become input_map and recurrent_map; with bidirectional those of the second
   direction too. Errors: those of opening. */
EbbStatus ebb_state_dict_convert_lstm(EbbStateDict *dict, bool bidirectional) EBB_MUST_CHECK;

/* What stands behind "layers.<i>.layer." in a name, or NULL. */
const char *ebb_layer_part(const char *name, int64_t *layer);
/* Whether the tensor is a sparsity mask, which the model has no parameter for. */
bool ebb_state_is_mask(const EbbStateTensor *tensor);
/* That the masks of the dict are the cells' synapses. Errors: MISMATCH. */
EbbStatus ebb_state_dict_check_masks(const EbbStateDict *dict, const EbbCells *cells) EBB_MUST_CHECK;

#endif
