/* The whole way through the C ABI. Argument: the folder that tests/abi_c.rs has filled:
 *   scan/        a HiPic scan over 180 degrees of a disc, mu = 2.0 /cm, radius 20 px of 100 um, centre beside the axis
 *   plugin.so    a plugin (where there is one)
 * Compiles as C99 and as C++. */
#include "check.h"

#define CENTER_PX 30.25
#define PIXEL_UM 100.0
#define RADIUS_PX 20.0
#define MU_PER_CM 2.0

struct seen {
  int calls, cancel_at;
  uint64_t done, total;
};

/* All figures: parts of the run that never overlap and add up to its time. */
static int32_t on_report(void *user, const wagiri_report *report) {
  struct seen *seen = (struct seen *)user;
  double sum = 0;
  uint32_t i;
  CHECK(report->struct_size == sizeof *report);
  CHECK(report->fraction >= 0 && report->fraction <= 1 && report->slices_per_s >= 0);
  for (i = 0; i < report->phase_count; i++) {
    CHECK(strlen(report->phases[i].id) > 0 && report->phases[i].seconds >= 0);
    sum += report->phases[i].seconds;
  }
  CHECK(sum <= report->elapsed_s + 1e-6);
  seen->done = report->done;
  seen->total = report->total;
  seen->calls++;
  return 0;
}

static int32_t on_progress(void *user, uint64_t done, uint64_t total) {
  struct seen *seen = (struct seen *)user;
  CHECK(done >= seen->done && done <= total);
  seen->done = done;
  seen->total = total;
  seen->calls++;
  return seen->cancel_at > 0 && seen->calls >= seen->cancel_at;
}

struct slices {
  uint64_t next, stop_at;
  double difference;
  const float *volume; /* what is expected, [3, 64, 64] */
};

static int32_t on_slice(void *user, uint64_t z, const wagiri_view *slice) {
  struct slices *s = (struct slices *)user;
  uint64_t y, x;
  CHECK(z == s->next && slice->shape[0] == 1);
  s->next++;
  for (y = 0; s->volume != NULL && y < slice->shape[1]; y++)
    for (x = 0; x < slice->shape[2]; x++) {
      float got = slice->data[(int64_t)y * slice->stride[1] + (int64_t)x * slice->stride[2]];
      float wanted = s->volume[(z * slice->shape[1] + y) * slice->shape[2] + x];
      s->difference = fmax(s->difference, fabs((double)got - (double)wanted));
    }
  return s->stop_at > 0 && s->next >= s->stop_at;
}

static void on_log(void *user, int32_t level, const char *message) {
  int *records = (int *)user;
  CHECK(level >= WAGIRI_LOG_ERROR && level <= WAGIRI_LOG_INFO && message[0] != 0);
  if (*records == 0) CHECK(strstr(message, wagiri_version()) != NULL);
  (*records)++;
}

/* The disc is centred 5 px right of the axis and 3 px above it, and the axis is in the middle of a slice. Its mean within
 * half the radius: 3 % allow for 60 views and for a disc whose edge is sampled at points; a wrong unit is off by far
 * more. Its centroid: 0.2 px is the same rounding of the edge; a wrong axis or orientation is off by pixels. Only the
 * circle that every view sees counts. */
static void check_disc(const float *slice, uint64_t n) {
  double middle = 0.5 * (double)(n - 1), sum = 0, count = 0, mass = 0, x_mass = 0, y_mass = 0;
  uint64_t x, y;
  for (y = 0; y < n; y++)
    for (x = 0; x < n; x++) {
      double dx = (double)x - middle, dy = (double)y - middle, value = slice[y * n + x];
      if (sqrt((dx - 5) * (dx - 5) + (dy + 3) * (dy + 3)) < 0.5 * RADIUS_PX) sum += value, count++;
      if (sqrt(dx * dx + dy * dy) < CENTER_PX && value > 0.5 * MU_PER_CM) mass++, x_mass += dx, y_mass += dy;
    }
  printf("disc: mean %.4f /cm, centred at %.2f %.2f px\n", sum / count, x_mass / mass, y_mass / mass);
  CHECK(fabs(sum / count - MU_PER_CM) < 0.03 * MU_PER_CM);
  CHECK(fabs(x_mass / mass - 5) < 0.2 && fabs(y_mass / mass + 3) < 0.2);
}

static void library(wagiri_context *ctx) {
  wagiri_error *err = NULL;
  wagiri_device device = ZERO;
  uint32_t devices = 0;
  CHECK(wagiri_abi_version() >> 16 == WAGIRI_ABI_VERSION >> 16);
  CHECK(wagiri_abi_version() >= WAGIRI_ABI_VERSION);
  CHECK(wagiri_features() & WAGIRI_FEATURE_PLUGINS);
  EXPECT(WAGIRI_OK, "", wagiri_device_count(ctx, &devices, &err));
  CHECK(devices >= 1);
  device.struct_size = sizeof device;
  EXPECT(WAGIRI_OK, "", wagiri_device_info(ctx, 0, &device, &err));
  CHECK(device.kind == WAGIRI_DEVICE_CPU && device.threads == 2 && device.name[0] != 0 && device.memory_bytes > 0);
  printf("wagiri %s, device %s\n", wagiri_version(), device.name);
}

static void stages(wagiri_context *ctx) {
  wagiri_error *err = NULL;
  uint32_t count = 0, i, j, k;
  int found = 0, starts = 0, ends = 0;
  EXPECT(WAGIRI_OK, "", wagiri_stage_count(ctx, &count, &err));
  for (i = 0; i < count; i++) {
    wagiri_stage stage = ZERO;
    stage.struct_size = sizeof stage;
    EXPECT(WAGIRI_OK, "", wagiri_stage_info(ctx, i, &stage, &err));
    CHECK(strchr(stage.id, ' ') == NULL && stage.summary[0] != 0);
    starts += stage.place == WAGIRI_PLACE_START;
    ends += stage.place == WAGIRI_PLACE_END;
    CHECK(stage.input >= WAGIRI_PIXELS_COUNTS && stage.output <= WAGIRI_PIXELS_VOLUME);
    for (j = 0; j < stage.param_count; j++) {
      wagiri_param param = ZERO;
      param.struct_size = sizeof param;
      EXPECT(WAGIRI_OK, "", wagiri_stage_param(ctx, i, j, &param, &err));
      CHECK(param.name[0] != 0 && param.help[0] != 0 && param.minimum <= param.maximum);
      CHECK((param.kind == WAGIRI_PARAM_CHOICE) == (param.choice_count > 0));
      for (k = 0; k < param.choice_count; k++) CHECK(param.choices[k][0] != 0);
      found |= strcmp(stage.id, "ring.sort") == 0 && strcmp(param.name, "kernel_px") == 0 &&
               param.kind == WAGIRI_PARAM_INT && strcmp(param.default_text, "5") == 0 && strcmp(param.unit, "px") == 0;
    }
  }
  /* At least raw, projections, sinograms, volume and stack; write.tiff. */
  CHECK(found && starts >= 5 && ends >= 1);
}

static wagiri_scan *open_scan(const char *folder) {
  wagiri_error *err = NULL;
  wagiri_scan *scan = NULL;
  wagiri_scan_details info = ZERO;
  char *path = in(folder, "scan");
  uint32_t i;
  float frame[3 * 64], band[64];
  EXPECT(WAGIRI_OK, "", wagiri_scan_open(path, NULL, &scan, &err));
  info.struct_size = sizeof info;
  EXPECT(WAGIRI_OK, "", wagiri_scan_info(scan, &info, &err));
  printf("%s: %s, %s, %d x %d px, %d views\n", info.path, info.format, info.details, (int)info.cols, (int)info.rows,
         (int)info.views);
  CHECK(info.views == 60 && info.rows == 3 && info.cols == 64 && info.flats == 2);
  CHECK(strcmp(info.format, "hipic") == 0 && strcmp(info.path, path) == 0);
  CHECK(fabs(info.covered_deg - 180) < 1e-6 && fabs(info.angles_rad[1] - 3.14159265358979 / 60) < 1e-9);
  for (i = 0; i < info.note_count; i++) printf("note: %s\n", info.notes[i]);
  EXPECT(WAGIRI_OK, "", wagiri_scan_read_frame(scan, WAGIRI_FRAME_DARK, 0, 0, view_mut(frame, 1, 3, 64), &err));
  CHECK(frame[0] == 100 && frame[3 * 64 - 1] == 100);
  EXPECT(WAGIRI_OK, "", wagiri_scan_read_frame(scan, WAGIRI_FRAME_FLAT, 1, 0, view_mut(frame, 1, 3, 64), &err));
  CHECK(frame[0] == 40100);
  EXPECT(WAGIRI_OK, "", wagiri_scan_read_frame(scan, WAGIRI_FRAME_VIEW, 7, 0, view_mut(frame, 1, 3, 64), &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_read_frame(scan, WAGIRI_FRAME_VIEW, 7, 2, view_mut(band, 1, 1, 64), &err));
  CHECK(memcmp(frame + 128, band, sizeof band) == 0);
  free(path);
  return scan;
}

/* Array functions on caller's memory; `slice` gets row 1, [64, 64]. */
static void arrays(wagiri_context *ctx, wagiri_scan *scan, float *slice) {
  wagiri_error *err = NULL;
  wagiri_geometry geometry = ZERO;
  wagiri_fbp_options options = ZERO;
  wagiri_scan_details info = ZERO;
  wagiri_scan *copy = NULL;
  struct seen seen = ZERO;
  wagiri_center center = ZERO;
  double difference = 0;
  uint64_t i;
  float *sino = floats(60 * 64), *same = floats(60 * 64), *flipped = floats(64 * 64);
  float *views = floats(60 * 3 * 64), *flats = floats(2 * 3 * 64), *dark = floats(3 * 64), *all = floats(3 * 60 * 64);
  wagiri_view counts;
  wagiri_view_mut upside_down;

  EXPECT(WAGIRI_OK, "", wagiri_scan_read_sinogram(ctx, scan, 1, view_mut(sino, 1, 60, 64), NULL, NULL, &err));
  for (i = 0; i < 60; i++)
    EXPECT(WAGIRI_OK, "",
           wagiri_scan_read_frame(scan, WAGIRI_FRAME_VIEW, i, 0, view_mut(views + i * 192, 1, 3, 64), &err));
  for (i = 0; i < 2; i++)
    EXPECT(WAGIRI_OK, "",
           wagiri_scan_read_frame(scan, WAGIRI_FRAME_FLAT, i, 0, view_mut(flats + i * 192, 1, 3, 64), &err));
  EXPECT(WAGIRI_OK, "", wagiri_scan_read_frame(scan, WAGIRI_FRAME_DARK, 0, 0, view_mut(dark, 1, 3, 64), &err));

  /* The frames [view, row, col] are counts [row, view, col] through strides. */
  counts = view(views, 3, 60, 64);
  counts.stride[0] = 64;
  counts.stride[1] = 192;
  counts.stride[2] = 1;
  EXPECT(WAGIRI_OK, "",
         wagiri_normalise(ctx, counts, view(flats, 2, 3, 64), view(dark, 1, 3, 64), NULL, on_progress, &seen,
                          view_mut(all, 3, 60, 64), &err));
  CHECK(seen.calls > 0);
  CHECK(memcmp(all + 60 * 64, sino, 60 * 64 * sizeof(float)) == 0);

  /* The same scan again, from memory. */
  info.struct_size = sizeof info;
  EXPECT(WAGIRI_OK, "", wagiri_scan_info(scan, &info, &err));
  EXPECT(WAGIRI_OK, "",
         wagiri_scan_from_arrays(view(views, 60, 3, 64), view(flats, 2, 3, 64), view(dark, 1, 3, 64), info.angles_rad,
                                 PIXEL_UM, &copy, &err));
  memset(views, 0, 60 * 3 * 64 * sizeof(float));
  EXPECT(WAGIRI_OK, "", wagiri_scan_read_sinogram(ctx, copy, 1, view_mut(same, 1, 60, 64), NULL, NULL, &err));
  CHECK(memcmp(same, sino, 60 * 64 * sizeof(float)) == 0);

  memset(&seen, 0, sizeof seen);
  center.struct_size = sizeof center;
  EXPECT(WAGIRI_OK, "", wagiri_find_center(ctx, scan, NULL, on_progress, &seen, &center, &err));
  printf("axis %.3f px, score %.3f\n", center.center_px, center.score);
  CHECK(fabs(center.center_px - CENTER_PX) < 0.25 && center.score > 0 && center.center_px_per_row == 0);

  EXPECT(WAGIRI_OK, "", wagiri_remove_rings(ctx, view_mut(same, 1, 60, 64), 0, NULL, NULL, &err));
  CHECK(memcmp(same, sino, 60 * 64 * sizeof(float)) == 0);
  EXPECT(WAGIRI_OK, "", wagiri_remove_rings(ctx, view_mut(same, 1, 60, 64), 5, NULL, NULL, &err));
  CHECK(memcmp(same, sino, 60 * 64 * sizeof(float)) != 0);

  geometry.struct_size = sizeof geometry;
  geometry.views = 60;
  geometry.angles_rad = info.angles_rad;
  geometry.pixel_um = PIXEL_UM;
  geometry.center_px = CENTER_PX;
  EXPECT(WAGIRI_OK, "",
         wagiri_reconstruct(ctx, &geometry, NULL, view(sino, 1, 60, 64), NULL, NULL, view_mut(slice, 1, 64, 64), &err));
  check_disc(slice, 64);

  /* Into a flipped view: y up, with the engine that checks the other. */
  upside_down = view_mut(flipped + 63 * 64, 1, 64, 64);
  upside_down.stride[0] = 64 * 64;
  upside_down.stride[1] = -64;
  upside_down.stride[2] = 1;
  options.struct_size = sizeof options;
  options.engine = WAGIRI_ENGINE_REFERENCE;
  EXPECT(WAGIRI_OK, "",
         wagiri_reconstruct(ctx, &geometry, &options, view(sino, 1, 60, 64), NULL, NULL, upside_down, &err));
  for (i = 0; i < 64 * 64; i++)
    difference = fmax(difference, fabs((double)flipped[(63 - i / 64) * 64 + i % 64] - (double)slice[i]));
  /* f32 against f64: a few hundred roundings of 6e-8 of values up to 2. */
  CHECK(difference < 1e-4);

  wagiri_scan_free(copy);
  free(sino), free(same), free(flipped), free(views), free(flats), free(dark), free(all);
}

static void chains(wagiri_context *ctx, wagiri_scan *scan, const char *folder, const float *slice) {
  wagiri_error *err = NULL;
  wagiri_chain *chain = NULL;
  wagiri_plan plan = ZERO;
  wagiri_summary summary = ZERO;
  wagiri_run_options options = ZERO;
  struct seen seen = ZERO;
  struct slices slices = ZERO;
  float *volume = floats(3 * 64 * 64), *preview = floats(64 * 64);
  char *out = in(folder, "slices"), *cancelled = in(folder, "cancelled"), *file = in(out, "rec00001.tif");
  char *never = in(cancelled, "rec00002.tif");
  FILE *f;
  uint64_t z;

  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, "normalise | recon.fbp pixel_um=100", &chain, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_set(chain, "recon.fbp", "center_px", "30.25", &err));
  plan.struct_size = sizeof plan;
  EXPECT(WAGIRI_OK, "", wagiri_chain_plan(ctx, chain, scan, NULL, NULL, NULL, &plan, &err));
  CHECK(plan.row_start == 0 && plan.row_end == 3 && plan.slice_height == 64 && plan.slice_width == 64);
  CHECK(plan.slab_rows >= 1 && plan.memory_bytes > 0 && plan.disk_bytes >= 3 * 64 * 64 * 4);
  CHECK(plan.center_px == CENTER_PX && plan.center_px_per_row == 0 && plan.pixel_um == PIXEL_UM);

  /* One slice is what the array functions made, bit for bit; so is each slice of a run, in slabs of one row. */
  EXPECT(WAGIRI_OK, "",
         wagiri_chain_preview(ctx, chain, scan, 1, NULL, NULL, view_mut(preview, 1, 64, 64), &err));
  CHECK(memcmp(preview, slice, 64 * 64 * sizeof(float)) == 0);
  for (z = 0; z < 3; z++)
    EXPECT(WAGIRI_OK, "",
           wagiri_chain_preview(ctx, chain, scan, z, NULL, NULL, view_mut(volume + z * 64 * 64, 1, 64, 64), &err));
  slices.volume = volume;
  options.struct_size = sizeof options;
  options.slab_rows = 1;
  summary.struct_size = sizeof summary;
  EXPECT(WAGIRI_OK, "",
         wagiri_chain_run_to(ctx, chain, scan, on_slice, &slices, &options, on_progress, &seen, &summary, &err));
  CHECK(slices.next == 3 && slices.difference == 0 && summary.slices == 3 && seen.calls > 0 && seen.done == 3);
  CHECK(summary.minimum < 0.2 && summary.maximum > 1.9 && summary.center_px == CENTER_PX);

  /* Into files; a row range. */
  options.row_start = 1;
  options.row_end = 2;
  EXPECT(WAGIRI_OK, "", wagiri_chain_run(ctx, chain, scan, out, &options, NULL, NULL, NULL, &err));
  /* A complete run is continued without doing anything; another one is refused. */
  options.resume = 1;
  options.report = on_report;
  seen.calls = 0;
  EXPECT(WAGIRI_OK, "", wagiri_chain_run(ctx, chain, scan, out, &options, on_progress, &seen, &summary, &err));
  CHECK(summary.slices == 1 && summary.found == 1 && seen.calls > 0 && seen.done == 1 && seen.total == 1);
  options.row_end = 3;
  EXPECT(WAGIRI_INVALID, "the rows changed", wagiri_chain_run(ctx, chain, scan, out, &options, NULL, NULL, NULL, &err));
  EXPECT(WAGIRI_NOT_FOUND, "no run to continue",
         wagiri_chain_run(ctx, chain, scan, cancelled, &options, NULL, NULL, NULL, &err));
  options.resume = 2;
  EXPECT(WAGIRI_INVALID, "resume: expected 0 or 1",
         wagiri_chain_run(ctx, chain, scan, out, &options, NULL, NULL, NULL, &err));
  options.resume = 0;
  options.row_end = 2;
  f = fopen(file, "rb");
  CHECK(f != NULL && fgetc(f) == 'I' && fgetc(f) == 'I');
  if (f != NULL) fclose(f);

  /* The first report cancels; so does a slice callback. Nothing is left behind. */
  memset(&seen, 0, sizeof seen);
  seen.cancel_at = 1;
  EXPECT(WAGIRI_CANCELLED, "cancelled",
         wagiri_chain_run(ctx, chain, scan, cancelled, NULL, on_progress, &seen, NULL, &err));
  CHECK(seen.calls >= 1);
  f = fopen(never, "rb");
  CHECK(f == NULL);
  if (f != NULL) fclose(f);
  memset(&slices, 0, sizeof slices);
  slices.stop_at = 1;
  EXPECT(WAGIRI_CANCELLED, "cancelled",
         wagiri_chain_run_to(ctx, chain, scan, on_slice, &slices, NULL, NULL, NULL, NULL, &err));
  CHECK(slices.next == 1);

  wagiri_chain_free(chain);
  free(volume), free(preview), free(out), free(cancelled), free(file), free(never);
}

/* Loads a plugin, describes its stage, and uses it in a chain. */
static void plugin(wagiri_context *ctx, wagiri_scan *scan, const char *path) {
  wagiri_error *err = NULL;
  wagiri_chain *chain = NULL;
  wagiri_stage stage = ZERO;
  uint32_t before = 0, after = 0;
  char text[256];
  float *slice = floats(64 * 64);
  EXPECT(WAGIRI_OK, "", wagiri_stage_count(ctx, &before, &err));
  EXPECT(WAGIRI_OK, "", wagiri_plugin_load(ctx, path, &err));
  EXPECT(WAGIRI_OK, "", wagiri_stage_count(ctx, &after, &err));
  CHECK(after > before);
  stage.struct_size = sizeof stage;
  EXPECT(WAGIRI_OK, "", wagiri_stage_info(ctx, before, &stage, &err));
  printf("plugin: %s, %s\n", stage.id, stage.summary);
  CHECK(stage.input == WAGIRI_PIXELS_VOLUME);
  snprintf(text, sizeof text, "normalise | recon.fbp center_px=30.25 pixel_um=100 | %s", stage.id);
  EXPECT(WAGIRI_OK, "", wagiri_chain_parse(ctx, text, &chain, &err));
  EXPECT(WAGIRI_OK, "", wagiri_chain_preview(ctx, chain, scan, 1, NULL, NULL, view_mut(slice, 1, 64, 64), &err));
  /* The same stages cannot come twice. */
  EXPECT(WAGIRI_PLUGIN, "exists already", wagiri_plugin_load(ctx, path, &err));
  EXPECT(WAGIRI_OK, "", wagiri_stage_count(ctx, &before, &err));
  CHECK(before == after);
  wagiri_chain_free(chain);
  free(slice);
}

int main(int argc, char **argv) {
  wagiri_error *err = NULL;
  wagiri_context *ctx = NULL;
  wagiri_context_options options = ZERO;
  wagiri_scan *scan;
  int records = 0, after;
  float *slice = floats(64 * 64);
  if (argc < 2) return 2;
  options.struct_size = sizeof options;
  options.threads = 2;
  EXPECT(WAGIRI_OK, "", wagiri_context_new(&options, &ctx, &err));
  EXPECT(WAGIRI_OK, "", wagiri_context_set_logger(ctx, on_log, &records, &err));
  CHECK(records == 1);
  library(ctx);
  stages(ctx);
  scan = open_scan(argv[1]);
  arrays(ctx, scan, slice);
  chains(ctx, scan, argv[1], slice);
  if (argc > 2) plugin(ctx, scan, argv[2]);
  EXPECT(WAGIRI_OK, "", wagiri_context_set_logger(ctx, NULL, NULL, &err));
  after = records;
  wagiri_context_free(ctx);
  CHECK(records == after);
  wagiri_scan_free(scan);
  free(slice);
#ifdef __linux__
  {
    /* The threads of the context have ended. The kernel lists a joined thread for a moment longer: look again. */
    int threads = 0, look;
    for (look = 0; look < 10000 && threads != 1; look++) {
      char line[256];
      FILE *f = fopen("/proc/self/status", "r");
      while (f != NULL && fgets(line, sizeof line, f) != NULL) sscanf(line, "Threads: %d", &threads);
      if (f != NULL) fclose(f);
    }
    CHECK(threads == 1);
  }
#endif
  return finish("smoke");
}
