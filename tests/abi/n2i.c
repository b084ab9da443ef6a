/* Noise2Inverse from C: split, train, stop, go on, look at the model, apply it. Argument: the folder that tests/abi_c.rs
 * filled. Compiles as C99 and as C++. */
#include "check.h"

struct seen {
  uint64_t steps, last_step, epochs, stop_at;
};

static int32_t watch(void *user, const wagiri_n2i_report *report) {
  struct seen *seen = (struct seen *)user;
  /* The same step may come again. */
  seen->steps += report->step != seen->last_step;
  CHECK(report->struct_size == sizeof *report && report->step >= 1 && report->step <= report->steps);
  CHECK(report->epoch >= 1 && report->epoch <= report->epochs && report->elapsed_s >= 0);
  CHECK(report->loss > 0 && report->learning_rate >= 0);
  CHECK((report->history_count == 0) == (report->training < 0));
  if (report->epoch_done && report->step != seen->last_step) {
    const wagiri_n2i_epoch *last = &report->history[report->history_count - 1];
    seen->epochs++;
    CHECK(report->history_count >= 1 && last->epoch == report->history_count && last->steps == report->step);
    CHECK(last->training == report->training && last->validation == report->validation);
  }
  seen->last_step = report->step;
  return report->step == seen->stop_at;
}

static void count_slices(wagiri_context *ctx, wagiri_chain *chain, wagiri_scan *scan) {
  wagiri_error *err = NULL;
  uint64_t slices = 0;
  float *slice = floats(64 * 64);
  int i, finite = 1;
  EXPECT(WAGIRI_OK, "", wagiri_chain_slices(ctx, chain, scan, &slices, &err));
  CHECK(slices == 3);
  EXPECT(WAGIRI_OK, "", wagiri_chain_preview(ctx, chain, scan, 1, NULL, NULL, view_mut(slice, 1, 64, 64), &err));
  for (i = 0; i < 64 * 64; i++) finite = finite && isfinite(slice[i]);
  CHECK(finite);
  free(slice);
}

static void model(const char *path) {
  wagiri_error *err = NULL;
  wagiri_model *model = NULL;
  wagiri_model_details info = ZERO;
  uint64_t i, chain = 0;
  info.struct_size = sizeof info;
  EXPECT(WAGIRI_OK, "", wagiri_model_open(path, &model, &err));
  EXPECT(WAGIRI_OK, "", wagiri_model_info(model, &info, &err));
  CHECK(info.subsets == 4 && info.channels == 3 && info.base_width == 8 && info.norm == 1);
  CHECK(info.parameters > 1000 && info.spread > 0 && info.about_count > 0);
  for (i = 0; i < info.about_count; i++)
    chain += strcmp(info.about_names[i], "chain") == 0 && strstr(info.about_values[i], "recon.fbp") != NULL;
  CHECK(chain == 1);
  wagiri_model_free(model);
}

int main(int argc, char **argv) {
  wagiri_error *err = NULL;
  wagiri_context *ctx = NULL;
  wagiri_chain *chain = NULL, *apply = NULL, *plain = NULL;
  wagiri_scan *scan = NULL;
  wagiri_model *none = NULL;
  wagiri_n2i_split_options split = ZERO;
  wagiri_n2i_work work = ZERO, again = ZERO;
  wagiri_n2i_options options = ZERO;
  wagiri_n2i_summary summary = ZERO;
  struct seen seen = ZERO;
  char *data, *dir, *path, *text;
  if (argc < 2) return 2;
  data = in(argv[1], "scan"), dir = in(argv[1], "n2i work"), path = in(argv[1], "model.safetensors");
  text = in(argv[1], "file.txt");
  split.struct_size = sizeof split, options.struct_size = sizeof options, summary.struct_size = sizeof summary;
  work.struct_size = again.struct_size = sizeof work;

  EXPECT(WAGIRI_OK, "", wagiri_context_new(NULL, &ctx, &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_open(data, NULL, &scan, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, "normalise | recon.fbp center_px=30.25 pixel_um=100", &chain, &err));

  /* What cannot be. */
  split.subsets = 30;
  EXPECT(WAGIRI_INVALID, "needs at least 8",
         wagiri_n2i_split(ctx, chain, scan, dir, &split, NULL, NULL, NULL, &err));
  split.subsets = 4, split.resume = 2;
  EXPECT(WAGIRI_INVALID, "resume: expected 0 or 1",
         wagiri_n2i_split(ctx, chain, scan, dir, &split, NULL, NULL, NULL, &err));
  split.resume = 0;
  CHECK(wagiri_n2i_work_info(text, &again, NULL) != WAGIRI_OK);
  CHECK(wagiri_n2i_train(ctx, text, path, NULL, NULL, NULL, NULL, NULL) != WAGIRI_OK);
  CHECK(wagiri_model_open(text, &none, NULL) != WAGIRI_OK && none == NULL);
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, "normalise", &plain, &err));
  EXPECT(WAGIRI_INVALID, "the chain does not reconstruct", wagiri_n2i_chain(plain, path, &apply, &err));
  CHECK(apply == NULL);
  EXPECT(WAGIRI_INVALID, "ctx: must not be NULL",
         wagiri_n2i_split(NULL, chain, scan, dir, NULL, NULL, NULL, NULL, &err));
  EXPECT(WAGIRI_INVALID, "work_dir: must not be NULL", wagiri_n2i_work_info(NULL, &again, &err));
  EXPECT(WAGIRI_INVALID, "out: must not be NULL", wagiri_n2i_work_info(dir, NULL, &err));
  EXPECT(WAGIRI_INVALID, "model_path: must not be NULL", wagiri_n2i_train(ctx, dir, NULL, NULL, NULL, NULL, NULL, &err));
  EXPECT(WAGIRI_INVALID, "model_path: must not be NULL", wagiri_n2i_chain(chain, NULL, &apply, &err));
  EXPECT(WAGIRI_INVALID, "path: must not be NULL", wagiri_model_open(NULL, &none, &err));
  EXPECT(WAGIRI_INVALID, "model: must not be NULL", wagiri_model_info(NULL, NULL, &err));
  wagiri_model_free(NULL);

  EXPECT(WAGIRI_OK, "", wagiri_n2i_split(ctx, chain, scan, dir, &split, NULL, NULL, &work, &err));
  EXPECT(WAGIRI_OK, "", wagiri_n2i_work_info(dir, &again, &err));
  CHECK(work.subsets == 4 && work.slices == 3 && work.slice_height == 64 && work.slice_width == 64);
  CHECK(memcmp(&work, &again, sizeof work) == 0);

  options.preset = 7;
  EXPECT(WAGIRI_INVALID, "preset: expected WAGIRI_N2I_SMALL",
         wagiri_n2i_train(ctx, dir, path, &options, NULL, NULL, NULL, &err));
  options.preset = WAGIRI_N2I_SMALL, options.device = 9;
  EXPECT(WAGIRI_INVALID, "device", wagiri_n2i_train(ctx, dir, path, &options, NULL, NULL, NULL, &err));
  options.device = WAGIRI_N2I_CPU, options.patience = -2;
  EXPECT(WAGIRI_INVALID, "patience: expected", wagiri_n2i_train(ctx, dir, path, &options, NULL, NULL, NULL, &err));
  options.patience = -1, options.channels = 4;
  EXPECT(WAGIRI_INVALID, "odd number of slices", wagiri_n2i_train(ctx, dir, path, &options, NULL, NULL, NULL, &err));

  /* Two epochs of four steps; the callback stops in the second, and a second call goes on. */
  options.channels = 3, options.base_width = 8, options.depth = 1, options.norm = 1, options.decay = 2;
  options.patch_px = 16, options.batch = 2, options.slices_per_epoch = 8, options.epochs = 2, options.warmup_steps = -1;
  options.average = -1, options.clip_norm = -1, options.seed = 3;
  seen.stop_at = 6;
  EXPECT(WAGIRI_CANCELLED, "cancelled", wagiri_n2i_train(ctx, dir, path, &options, watch, &seen, &summary, &err));
  CHECK(seen.steps == 6 && seen.epochs == 1);
  CHECK(summary.ended == WAGIRI_N2I_STOPPED && summary.epochs == 1 && summary.steps == 4 && summary.training > 0);
  model(path);
  seen.stop_at = 0, options.resume = 1;
  EXPECT(WAGIRI_OK, "", wagiri_n2i_train(ctx, dir, path, &options, watch, &seen, &summary, &err));
  CHECK(seen.steps == 8 && seen.epochs == 2);
  CHECK(summary.ended == WAGIRI_N2I_FINISHED && summary.epochs == 2 && summary.steps == 8);
  model(path);

  EXPECT(WAGIRI_OK, "", wagiri_n2i_chain(chain, path, &apply, &err));
  count_slices(ctx, apply, scan);

  wagiri_chain_free(chain), wagiri_chain_free(apply), wagiri_chain_free(plain);
  wagiri_scan_free(scan);
  wagiri_context_free(ctx);
  free(data), free(dir), free(path), free(text);
  return finish("n2i");
}
