/* A wagiri plugin in C that must see the whole volume first: subtracts the mean of all voxels. */
#include "wagiri_plugin.h"

#include <stdio.h>
#include <stdlib.h>

/* What one run knows; made anew for each, so that runs do not disturb each other. */
typedef struct level {
  double sum;
  uint64_t count;
  float mean;
} level;

static void *level_create(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                          size_t cap) {
  static const char nothing = 0; /* there are no parameters to keep */
  (void)setup, (void)values;
  if (host->abi < WAGIRI_PLUGIN_ABI) { /* an older wagiri would not call level_survey */
    snprintf(msg, cap, "this stage needs a newer wagiri");
    return NULL;
  }
  return (void *)&nothing;
}

static void *level_worker_new(const void *self, const wagiri_stage_plan *plan, char *msg, size_t cap) {
  level *work = calloc(1, sizeof *work);
  (void)self, (void)plan;
  if (!work) snprintf(msg, cap, "out of memory");
  return work;
}

static int32_t level_survey(void *worker, const wagiri_host *host, const wagiri_slab *in, char *msg, size_t cap) {
  level *work = worker;
  const uint64_t n = in->rows * in->dims[0] * in->dims[1];
  (void)host, (void)msg, (void)cap;
  for (uint64_t i = 0; i < n; i++) work->sum += in->data[i]; /* voxel by voxel: the same for any slab height */
  work->count += n;
  return WAGIRI_PLUGIN_OK;
}

static int32_t level_survey_done(void *worker, const wagiri_host *host, char *msg, size_t cap) {
  level *work = worker;
  (void)host;
  if (work->count == 0) {
    snprintf(msg, cap, "there are no voxels");
    return WAGIRI_PLUGIN_FAILED;
  }
  work->mean = (float)(work->sum / (double)work->count);
  return WAGIRI_PLUGIN_OK;
}

static int32_t level_process(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out,
                             char *msg, size_t cap) {
  const level *work = worker;
  const uint64_t n = out->rows * out->dims[0] * out->dims[1];
  (void)host, (void)msg, (void)cap;
  for (uint64_t i = 0; i < n; i++) out->data[i] = in->data[i] - work->mean;
  return WAGIRI_PLUGIN_OK;
}

static const wagiri_stage_desc level_stage = {
    .struct_size = sizeof level_stage,
    .input = WAGIRI_PLUGIN_VOLUME,
    .output = WAGIRI_PLUGIN_VOLUME,
    .threading = WAGIRI_PLUGIN_SERIAL,
    .id = "example.level",
    .summary = "Subtracts the mean of the volume",
    .create = level_create,
    .worker_new = level_worker_new,
    .survey = level_survey,
    .survey_done = level_survey_done,
    .process = level_process,
    .worker_free = free,
};
static const wagiri_stage_desc *const stages[] = {&level_stage};

WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = {
    .struct_size = sizeof(wagiri_plugin_entry),
    .abi = WAGIRI_PLUGIN_ABI,
    .id = "org.example.level",
    .version = "0.1.0",
    .vendor = "The wagiri authors",
    .stages = stages,
    .stage_count = 1,
};
