/* A plugin as interface 1.0 had it: the description of its stage ends with `destroy`, and what lies behind it in memory
   is no function. */
#include "wagiri_plugin.h"

typedef struct stage_desc_1_0 {
  uint32_t struct_size;
  int32_t input, output, threading;
  const char *id, *summary;
  const wagiri_param_desc *const *params;
  uint32_t param_count, reserved;
  void *(*create)(const wagiri_host *, const wagiri_setup *, const wagiri_value *, char *, size_t);
  int32_t (*plan)(const void *, const wagiri_slab_shape *, wagiri_stage_plan *, char *, size_t);
  void *(*worker_new)(const void *, const wagiri_stage_plan *, char *, size_t);
  int32_t (*process)(void *, const wagiri_host *, const wagiri_slab *, const wagiri_slab_out *, char *, size_t);
  void (*worker_free)(void *);
  void (*destroy)(void *);
} stage_desc_1_0;

static char something;

static void *create(const wagiri_host *host, const wagiri_setup *setup, const wagiri_value *values, char *msg,
                    size_t cap) {
  (void)host, (void)setup, (void)values, (void)msg, (void)cap;
  return &something;
}
static void *worker_new(const void *self, const wagiri_stage_plan *plan, char *msg, size_t cap) {
  (void)self, (void)plan, (void)msg, (void)cap;
  return &something;
}
static int32_t process(void *worker, const wagiri_host *host, const wagiri_slab *in, const wagiri_slab_out *out,
                       char *msg, size_t cap) {
  (void)worker, (void)host, (void)msg, (void)cap;
  for (uint64_t i = 0; i < out->rows * out->dims[0] * out->dims[1]; i++) out->data[i] = 2 * in->data[i];
  return WAGIRI_PLUGIN_OK;
}
static void worker_free(void *worker) { (void)worker; }

static const struct {
  stage_desc_1_0 stage;
  char behind[64];
} description = {
    {sizeof(stage_desc_1_0), WAGIRI_PLUGIN_VOLUME, WAGIRI_PLUGIN_VOLUME, WAGIRI_PLUGIN_SERIAL, "test.old", "Doubles", NULL, 0,
     0, create, NULL, worker_new, process, worker_free, NULL},
    "this is text and no function, whoever calls it crashes",
};
static const wagiri_stage_desc *const stages[] = {(const wagiri_stage_desc *)&description};

WAGIRI_PLUGIN_EXPORT const wagiri_plugin_entry WAGIRI_PLUGIN_ENTRY = {
    sizeof(wagiri_plugin_entry), 0x00010000u, "org.example.old", "1.0", "The wagiri authors", stages, 1, 0,
};
