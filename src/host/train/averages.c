#include "host/train/averages.h"

#include "ebb/optim.h"

EbbStatus averages_create(Averages *averages, EbbParams *params, double ema_decay, bool swa) {
  *averages = (Averages){.params = params, .ema_decay = ema_decay};
  if (ema_decay > 0) EBB_TRY(ebb_average_create(params, &averages->ema));
  return swa ? ebb_average_create(params, &averages->swa) : EBB_OK;
}

void averages_release(Averages *averages) {
  if (!averages->params) return;
  ebb_device_free(ebb_params_device(averages->params), averages->ema);
  ebb_device_free(ebb_params_device(averages->params), averages->swa);
  *averages = (Averages){0};
}

EbbStatus averages_after_step(Averages *averages) {
  return averages->ema ? ebb_average_update(averages->params, averages->ema, 1 - averages->ema_decay)
                       : EBB_OK;
}

EbbStatus averages_after_epoch(Averages *averages) {
  if (!averages->swa) return EBB_OK;
  EBB_TRY(ebb_average_update(averages->params, averages->swa, 1.0 / (double)(averages->swa_count + 1)));
  averages->swa_count++;
  return EBB_OK;
}

EbbStatus averages_swap_in(Averages *averages) {
  averages->swapped = averages->swa && averages->swa_count > 0 ? averages->swa : averages->ema;
  return averages->swapped ? ebb_average_swap(averages->params, averages->swapped) : EBB_OK;
}

EbbStatus averages_swap_out(Averages *averages) {
  float *average = averages->swapped;
  averages->swapped = NULL;
  return average ? ebb_average_swap(averages->params, average) : EBB_OK;
}

int averages_list(const Averages *averages, EbbAverage list[EBB_MOST_AVERAGES]) {
  int count = 0;
  if (averages->ema) list[count++] = (EbbAverage){.name = "ema", .values = averages->ema};
  if (averages->swa) list[count++] = (EbbAverage){.name = "swa", .values = averages->swa};
  return count;
}
