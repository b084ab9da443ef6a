/*
 * wagiri: synchrotron CT, from raw frames to a volume in 1/cm.
 *
 * Generated from src/capi by tests/header.rs; change the comments there. docs/c-api.md has an example.
 *
 * Handles      Opaque. Who makes one frees it, once, with the wagiri_..._free() of its type; NULL is allowed there.
 * Threads      An argument `const T *` may be used by several threads at once; a `T *` belongs to one call at a time.
 *              Long work runs on threads of the context; callbacks come on the calling thread unless they say otherwise.
 * Errors       A function returns WAGIRI_OK or another status. Its last argument may be NULL; else `*err` is always
 *              written: NULL on success, on failure an error that the caller owns and frees with wagiri_error_free().
 *              No call ends the process and none leaves by an exception. There is no global error state.
 * Structs      Set `struct_size` to sizeof before the call. A 0 in any other field means its default. Fields are only
 *              ever added at the end, so programs and libraries of different minor versions understand one another.
 * Text         UTF-8, ended by 0, paths too. Texts passed in are copied; texts handed out say how long they are valid.
 * Pixels       Views over memory of the caller, float, with strides; never kept after the call and never freed here.
 * Conventions  Pixel centres are at integers, from 0. Lengths in um, angles in radians, volumes in 1/cm.
 */


#ifndef WAGIRI_H
#define WAGIRI_H

#include <stdint.h>

// ABI of this header: major << 16 | minor. A program built with major m needs a library of the same major m and at
// least the same minor; compare with `wagiri_abi_version()`.
#define WAGIRI_ABI_VERSION 65540

// Bit of `wagiri_features()`: plugins can be loaded.
#define WAGIRI_FEATURE_PLUGINS 1

// Device: the fastest that is there.
#define WAGIRI_DEVICE_AUTO 0

// Device: the processor.
#define WAGIRI_DEVICE_CPU 1

// Device: a graphics processor. Only networks compute there.
#define WAGIRI_DEVICE_GPU 2

// Device: NVIDIA's graphics processors by CUDA, else the next in line.
#define WAGIRI_DEVICE_CUDA 3

// Device: graphics processors by Vulkan or Metal, else the processor.
#define WAGIRI_DEVICE_WGPU 4

// Level of a log record: the work failed or the result is doubtful.
#define WAGIRI_LOG_ERROR 1

// Level of a log record: something was repaired or looks wrong.
#define WAGIRI_LOG_WARN 2

// Level of a log record: what was done.
#define WAGIRI_LOG_INFO 3

// Filter: the one that the stage recon.fbp has as its default, chesler.
#define WAGIRI_FILTER_DEFAULT 0

// Filter: |f|, no window (Ramachandran and Lakshminarayanan); sharpest and noisiest.
#define WAGIRI_FILTER_RAMP 1

// Filter: |f| sinc(f) (Shepp and Logan).
#define WAGIRI_FILTER_SHEPP_LOGAN 2

// Filter: |f| (1 + cos 2 pi f) / 2 (Chesler), the Hann window.
#define WAGIRI_FILTER_CHESLER 3

// Engine: f32, all threads.
#define WAGIRI_ENGINE_DIRECT 0

// Engine: f64, plain and slow, to check others against.
#define WAGIRI_ENGINE_REFERENCE 1

// Engine: f32, all threads, much faster, with an error below `tolerance`.
#define WAGIRI_ENGINE_FOURIER 2

// Between the columns of a view, Fourier engine: a sinc, all detail and noise is kept.
#define WAGIRI_INTERPOLATION_SINC 0

// Between the columns of a view, Fourier engine: the highest frequencies are damped as straight lines do, without their
// aliases.
#define WAGIRI_INTERPOLATION_LINEAR 1

// Frame: projection `index`.
#define WAGIRI_FRAME_VIEW 0

// Frame: direct-beam image `index`, in order of time.
#define WAGIRI_FRAME_FLAT 1

// Frame: the image without beam; `index` is 0.
#define WAGIRI_FRAME_DARK 2

// Frame: the image half a turn after view 0; `index` is 0.
#define WAGIRI_FRAME_HALF_TURN 3

// Frame: the direct-beam image that belongs to it; `index` is 0.
#define WAGIRI_FRAME_HALF_TURN_FLAT 4

// Pixels are [row, view, col], detector counts.
#define WAGIRI_PIXELS_COUNTS 1

// Pixels are [row, view, col], absorbance ln(I0/I).
#define WAGIRI_PIXELS_SINOGRAM 2

// Pixels are [z, y, x], linear attenuation in 1/cm.
#define WAGIRI_PIXELS_VOLUME 3

// Place in a chain: anywhere its neighbours let it.
#define WAGIRI_PLACE_BETWEEN 0

// Place in a chain: at the start, where it tells what the data are.
#define WAGIRI_PLACE_START 1

// Place in a chain: at the end, where it tells what is written.
#define WAGIRI_PLACE_END 2

// Type of a parameter: whole number.
#define WAGIRI_PARAM_INT 1

// Type of a parameter: number.
#define WAGIRI_PARAM_FLOAT 2

// Type of a parameter: "true" or "false".
#define WAGIRI_PARAM_BOOL 3

// Type of a parameter: one of `choices`.
#define WAGIRI_PARAM_CHOICE 4

// Type of a parameter: free text.
#define WAGIRI_PARAM_TEXT 5

// Preset: trains on a processor.
#define WAGIRI_N2I_SMALL 0

// Preset: for graphics cards.
#define WAGIRI_N2I_LARGE 1

// Device of the network: the fastest that is there.
#define WAGIRI_N2I_AUTO 0

// Device of the network: the processor.
#define WAGIRI_N2I_CPU 1

// Device of the network: an NVIDIA card.
#define WAGIRI_N2I_CUDA 2

// Device of the network: a card with Vulkan, Metal or Direct3D 12.
#define WAGIRI_N2I_WGPU 3

// The training is done.
#define WAGIRI_N2I_FINISHED 0

// The validation loss got no better for `patience` epochs.
#define WAGIRI_N2I_NO_BETTER 1

// The callback asked to stop.
#define WAGIRI_N2I_STOPPED 2

// The loss grew without end; the model is that of the last good checkpoint, and the log tells more.
#define WAGIRI_N2I_DIVERGED 3

// A checked chain of stages. Owned by the caller; free it with `wagiri_chain_free`.
typedef struct wagiri_chain wagiri_chain;

// Threads, memory budget and stages; made once by a program and given to most functions. Owned by the caller; free
// it with `wagiri_context_free`.
typedef struct wagiri_context wagiri_context;

// What went wrong in one call. Owned by the caller; free it with `wagiri_error_free`.
typedef struct wagiri_error wagiri_error;

// A trained network and what is known of its training. Owned by the caller; free it with `wagiri_model_free`.
typedef struct wagiri_model wagiri_model;

// The raw frames of a scan and what is known about them. Immutable; pixels are read when they are asked for. Owned by
// the caller; free it with `wagiri_scan_free`.
typedef struct wagiri_scan wagiri_scan;

// Result of a function: WAGIRI_OK or one of the codes below it. New codes may be added; treat an unknown one like
// WAGIRI_INTERNAL.
typedef int32_t wagiri_status;

// A part of a run and the wall time spent on it so far. The parts do not overlap: the largest is what limits the run.
// This struct never grows.
typedef struct wagiri_phase {
  // "prepare" (survey, search of the axis), "read" (waiting for the reader), the id of a stage, or "write" (waiting for
  // the writer, and the conversion at the end of 16- or 8-bit output with an open range). New ids may be added.
  const char *id;
  // Seconds.
  double seconds;
} wagiri_phase;

// How far a run is. Everything in it is valid during the callback only.
typedef struct wagiri_report {
  // sizeof(wagiri_report) of the loaded library.
  uint32_t struct_size;
  // Entries of `phases`.
  uint32_t phase_count;
  // Slices finished, by an earlier run too if this one continues it.
  uint64_t done;
  // Slices in all.
  uint64_t total;
  // Finished part of the work, 0 to 1; moves inside a slice too.
  double fraction;
  // Seconds since the run began.
  double elapsed_s;
  // Estimated seconds left; negative while there is nothing to estimate from.
  double eta_s;
  // Slices per second of late, waiting included; 0 while there is nothing to measure.
  double slices_per_s;
  // In order of first use.
  const struct wagiri_phase *phases;
} wagiri_report;

// As `wagiri_progress`, with all figures: called instead of it if both are given, with the same `user`. 0 continues,
// anything else cancels. Must return normally: no C++ exception, no longjmp.
typedef int32_t (*wagiri_reporter)(void *user,
                                   const struct wagiri_report *report);

// What part of a scan to run, and how. Set `struct_size` to sizeof; every other field may be 0.
typedef struct wagiri_run_options {
  // sizeof(wagiri_run_options).
  uint32_t struct_size;
  // First detector row to reconstruct.
  uint64_t row_start;
  // Row after the last one; 0 is all.
  uint64_t row_end;
  // Rows in one slab; 0 takes as many as the memory budget allows. The pixels do not depend on it.
  uint64_t slab_rows;
  // 1 continues the run that was stopped in the folder, which must be of the same version, chain, rows and frames; the
  // bytes are those of a run that was never stopped. For `wagiri_chain_run` only.
  uint64_t resume;
  // Called instead of `progress`, with its `user`; may be NULL.
  wagiri_reporter report;
} wagiri_run_options;

// Called during long work, always on the thread that called the long function, several times a second. `done` of
// `total` slices are finished; inside a slice the same numbers may come again. 0 continues, anything else cancels:
// the long function then returns WAGIRI_CANCELLED. May call any function of the library with `const` handles. Must
// return normally: no C++ exception, no longjmp.
typedef int32_t (*wagiri_progress)(void *user,
                                   uint64_t done,
                                   uint64_t total);

// What a run will take. Remarks that a user should see go to the logger of the context.
typedef struct wagiri_plan {
  // sizeof(wagiri_plan), set by the caller.
  uint32_t struct_size;
  // First detector row, which is also the number of the first slice.
  uint64_t row_start;
  // Row after the last one.
  uint64_t row_end;
  // Rows in one slab.
  uint64_t slab_rows;
  // Peak memory, bytes.
  uint64_t memory_bytes;
  // Bytes that will be written.
  uint64_t disk_bytes;
  // Rows (y) of a slice.
  uint64_t slice_height;
  // Columns (x) of a slice.
  uint64_t slice_width;
  // Rotation axis at detector row 0, px; found if the chain says auto.
  double center_px;
  // Change of the axis from one row to the next, px.
  double center_px_per_row;
  // Size of a pixel of the slice, um.
  double pixel_um;
  // Computing alone, seconds, as a guess for a usual machine.
  double compute_s;
  // Rows of the data before those of a slab that the stages look at, all together.
  uint64_t halo_below;
  // Rows behind them.
  uint64_t halo_above;
} wagiri_plan;

// Pixels of the caller that are written; as `wagiri_view`. No two indices may share an element, and nobody else may
// use the memory during the call. After an error its contents are undefined.
typedef struct wagiri_view_mut {
  float *data;
  uint64_t shape[3];
  int64_t stride[3];
} wagiri_view_mut;

// What a run did. Repairs and remarks go to the logger of the context.
typedef struct wagiri_summary {
  // sizeof(wagiri_summary), set by the caller.
  uint32_t struct_size;
  // Slices made.
  uint64_t slices;
  // Rotation axis at detector row 0, px.
  double center_px;
  // Change of the axis from one row to the next, px.
  double center_px_per_row;
  // Smallest value of the volume, 1/cm.
  float minimum;
  // Largest value of the volume, 1/cm.
  float maximum;
  // How many of the slices an earlier run had finished.
  uint64_t found;
} wagiri_summary;

// Pixels of the caller that are read: `shape` counts and `stride` distances in elements (not bytes) of the three
// dimensions named by the function. All strides 0 means that the pixels lie without gaps, last dimension fastest.
// Strides may be negative. The memory stays the caller's and must not change during the call.
typedef struct wagiri_view {
  const float *data;
  uint64_t shape[3];
  int64_t stride[3];
} wagiri_view;

// Takes one finished slice: `z` is the detector row, `slice` is [1, y, x] and valid during the call. Called in order
// of z, one call at a time, on a thread of the library that is not the caller's. 0 continues, anything else cancels.
// Must return normally: no C++ exception, no longjmp.
typedef int32_t (*wagiri_slice)(void *user,
                                uint64_t z,
                                const struct wagiri_view *slice);

// Options of a context. Set `struct_size` to sizeof; every other field may be 0.
typedef struct wagiri_context_options {
  // sizeof(wagiri_context_options).
  uint32_t struct_size;
  // WAGIRI_DEVICE_; 0 is the fastest that is there, and WAGIRI_DEVICE_GPU is WAGIRI_UNAVAILABLE where there is none.
  int32_t device;
  // Compute threads, up to 4096; 0 is all cores.
  uint32_t threads;
  // Memory for slabs and buffers, bytes; 0 is half of what is available when the context is made.
  uint64_t memory_bytes;
} wagiri_context_options;

// Receives a log record: a WAGIRI_LOG_ level and one line of UTF-8 without a line end, valid during the call. Called
// from any thread, several at once. Must not call the library, and must return normally: no C++ exception, no
// longjmp.
typedef void (*wagiri_log)(void *user,
                           int32_t level,
                           const char *message);

// A device that can compute.
typedef struct wagiri_device {
  // sizeof(wagiri_device), set by the caller.
  uint32_t struct_size;
  // WAGIRI_DEVICE_CPU, WAGIRI_DEVICE_CUDA or WAGIRI_DEVICE_WGPU.
  int32_t kind;
  // Compute threads of the context on a processor; 0 for a GPU.
  uint32_t threads;
  // Model; valid until the context is freed.
  const char *name;
  // Memory of the device, bytes; 0 if unknown.
  uint64_t memory_bytes;
} wagiri_device;

// How a scan is split. Set `struct_size` to sizeof; every other field may be 0.
typedef struct wagiri_n2i_split_options {
  // sizeof(wagiri_n2i_split_options).
  uint32_t struct_size;
  // Subsets of the views, 2 to 64; 0 is 4.
  uint32_t subsets;
  // First detector row to reconstruct.
  uint64_t row_start;
  // Row after the last one; 0 is all.
  uint64_t row_end;
  // 1 continues the split that was stopped in the folder; what is finished is not computed again.
  uint64_t resume;
  // Called instead of `progress`, with its `user`; may be NULL.
  wagiri_reporter report;
} wagiri_n2i_split_options;

// What a work folder holds.
typedef struct wagiri_n2i_work {
  // sizeof(wagiri_n2i_work), set by the caller.
  uint32_t struct_size;
  // Noisy volumes, one for each subset of the views.
  uint32_t subsets;
  // Slices of each (z).
  uint64_t slices;
  // Rows of a slice (y).
  uint64_t slice_height;
  // Columns of a slice (x).
  uint64_t slice_width;
} wagiri_n2i_work;

// What a chain says. Pointers are valid until the chain is changed or freed.
typedef struct wagiri_chain_details {
  // sizeof(wagiri_chain_details), set by the caller.
  uint32_t struct_size;
  // What it starts from, WAGIRI_PIXELS_.
  int32_t input;
  // What it makes, WAGIRI_PIXELS_.
  int32_t output;
  // Stages, with the first word and write.tiff.
  uint32_t stage_count;
  // The data that it names; NULL if it names none.
  const char *path;
  // The folder that its write.tiff names; NULL if it names none.
  const char *out_dir;
  // The chain in one line, with every parameter that is not at its default.
  const char *line;
  // The same as the text of a chain file.
  const char *toml;
} wagiri_chain_details;

// How to open a scan where its files leave something open. Set `struct_size` to sizeof; every other field may be 0.
typedef struct wagiri_scan_options {
  // sizeof(wagiri_scan_options).
  uint32_t struct_size;
  // "hipic", "his", "tiff" or "hdf5"; NULL looks at the files.
  const char *format;
  // Dark frames, averaged: a file or folder of images, a range of frames such as "0..30" (from 0, 30 not included)
  // where one file holds all frames (.his, multi-page TIFF, HDF5), an HDF5 dataset, or "none" to subtract nothing;
  // NULL looks at their usual place.
  const char *dark;
  // Direct-beam frames (I0), as `dark` but not "none". Several ranges such as "0..10,90..100" are as many images at
  // different times.
  const char *flat;
  // View angles: "180" is even over so many degrees, without the end point; "-88.2..91.8" even, both ends included; a
  // text file with one angle in degrees per line, or "FILE:A..B" for its entries A to B - 1, counted from 0. Relative
  // paths here, in `dark` and in `flat` are looked up in the folder of the scan, then as they stand.
  const char *angles;
  // HDF5 dataset of the projections, where it is not at its standard place.
  const char *dataset;
  // First view to use.
  uint64_t view_start;
  // View after the last one to use; 0 is all.
  uint64_t view_end;
} wagiri_scan_options;

// What a model is. Pointers are valid until it is freed.
typedef struct wagiri_model_details {
  // sizeof(wagiri_model_details), set by the caller.
  uint32_t struct_size;
  // Subsets of the views that it was trained for.
  uint32_t subsets;
  // Slices that it sees, odd.
  uint32_t channels;
  // Channels of the network at full size.
  uint32_t base_width;
  // Levels below full size.
  uint32_t depth;
  // What follows a convolution: 1 batch normalisation, 2 a bias.
  int32_t norm;
  // Trained numbers.
  uint64_t parameters;
  // Value that became 0, 1/cm.
  double mean;
  // Difference that became 1, 1/cm.
  double spread;
  // Entries of the two arrays below.
  uint64_t about_count;
  // Names, such as "chain", "scan", "epochs". New ones may be added.
  const char *const *about_names;
  // What the model says under each name.
  const char *const *about_values;
} wagiri_model_details;

// How to turn counts into absorbance. Set `struct_size` to sizeof; every other field may be 0.
typedef struct wagiri_normalise_options {
  // sizeof(wagiri_normalise_options).
  uint32_t struct_size;
  // Not 0: subtract from each row of each view the mean of its 10 outermost columns on either side, which must show
  // air.
  int32_t air_edges;
  // Not 0: leave dead and hot pixels as they are instead of filling them from their neighbours.
  int32_t keep_bad_pixels;
  // Smallest signal above dark, counts; anything below is raised to it. 0 is 2.
  double floor_counts;
  // A row of a view with more than this part of its pixels below the floor is black and is replaced by the mean of
  // the others. 0 is 0.5.
  double black_fraction;
} wagiri_normalise_options;

// How to search the rotation axis. Set `struct_size` to sizeof; every other field may be 0.
typedef struct wagiri_center_options {
  // sizeof(wagiri_center_options).
  uint32_t struct_size;
  // "auto" (several methods that must agree), "rmsd", "line", "registration" or "moment"; NULL is "auto".
  const char *method;
  // First detector row to look at.
  uint64_t row_start;
  // Row after the last one; 0 is all.
  uint64_t row_end;
  // Axes to consider, px: from here ...
  double search_start_px;
  // ... to here; 0 is the middle half of the detector.
  double search_end_px;
} wagiri_center_options;

// A rotation axis that was found.
typedef struct wagiri_center {
  // sizeof(wagiri_center), set by the caller.
  uint32_t struct_size;
  // Axis at detector row 0, px; the centre of the first column is 0.
  double center_px;
  // Change of the axis from one row to the next, px; 0 unless a tilt was found.
  double center_px_per_row;
  // From 0 (worthless) to 1.
  double score;
} wagiri_center;

// Where the rays are. Set `struct_size` to sizeof.
typedef struct wagiri_geometry {
  // sizeof(wagiri_geometry).
  uint32_t struct_size;
  // Number of `angles_rad`.
  uint64_t views;
  // One angle per view, radians; positive turns the object counter-clockwise on screen. Read during the call only.
  const double *angles_rad;
  // Detector pixel at the sample, um; greater than 0.
  double pixel_um;
  // Rotation axis in the first row of the sinograms, px; the centre of the first column is 0.
  double center_px;
  // Change of the axis from one row to the next, px; 0 for an upright axis.
  double center_px_per_row;
} wagiri_geometry;

// How to reconstruct. Set `struct_size` to sizeof; every other field may be 0.
typedef struct wagiri_fbp_options {
  // sizeof(wagiri_fbp_options).
  uint32_t struct_size;
  // WAGIRI_FILTER_.
  int32_t filter;
  // WAGIRI_ENGINE_.
  int32_t engine;
  // Not 0: extend views that are cut off at the edge of the detector by a cosine taper of half the width.
  int32_t pad;
  // Largest relative L2 error of the Fourier engine, 1e-6 to 1e-2; 0 means 2e-4. Other engines take no notice.
  double tolerance;
  // WAGIRI_INTERPOLATION_ for the Fourier engine. Other engines draw straight lines.
  int32_t interpolation;
  // Must be 0.
  int32_t reserved;
} wagiri_fbp_options;

// What is known of a scan. Pointers are valid until the scan is freed.
typedef struct wagiri_scan_details {
  // sizeof(wagiri_scan_details), set by the caller.
  uint32_t struct_size;
  // 1 if there is a frame WAGIRI_FRAME_HALF_TURN, else 0.
  int32_t half_turn_frame;
  // Number of `notes`.
  uint32_t note_count;
  // Projections that take part in a reconstruction.
  uint64_t views;
  // Detector rows (slices).
  uint64_t rows;
  // Detector columns.
  uint64_t cols;
  // Direct-beam images.
  uint64_t flats;
  // Detector pixel at the sample, um; 0 if unknown.
  double pixel_um;
  // Turned range that the views cover, degrees.
  double covered_deg;
  // `views` angles, radians.
  const double *angles_rad;
  // "hipic", "his", "tiff", "hdf5", "slices" or "memory".
  const char *format;
  // One line: sample format, compression, layout.
  const char *details;
  // Where it was opened.
  const char *path;
  // `note_count` remarks that a user should see once.
  const char *const *notes;
  // WAGIRI_PIXELS_: what it holds. `views`, `rows` and `cols` of a volume are its y, z and x, and it has no angles.
  int64_t pixels;
} wagiri_scan_details;

// A stage. Its texts are UTF-8 and valid until the context is freed.
typedef struct wagiri_stage {
  // sizeof(wagiri_stage), set by the caller.
  uint32_t struct_size;
  // What it takes, WAGIRI_PIXELS_.
  int32_t input;
  // What it makes, WAGIRI_PIXELS_.
  int32_t output;
  // Number of parameters, see `wagiri_stage_param`.
  uint32_t param_count;
  // `family.method`, as in the text of a chain.
  const char *id;
  // One line.
  const char *summary;
  // WAGIRI_PLACE_.
  uint64_t place;
} wagiri_stage;

// A parameter of a stage. Its texts are UTF-8 and valid until the context is freed.
typedef struct wagiri_param {
  // sizeof(wagiri_param), set by the caller.
  uint32_t struct_size;
  // WAGIRI_PARAM_.
  int32_t kind;
  // 1 if the word "auto" is accepted too, else 0.
  int32_t accepts_auto;
  // Number of `choices`; 0 unless `kind` is WAGIRI_PARAM_CHOICE.
  uint32_t choice_count;
  // Name with its unit, as in the text of a chain.
  const char *name;
  // "px", "um", "deg", ... or "".
  const char *unit;
  // One sentence.
  const char *help;
  // The value that is used where nothing is said, as text.
  const char *default_text;
  // The accepted words.
  const char *const *choices;
  // Smallest accepted number; -infinity if there is none.
  double minimum;
  // Largest accepted number; infinity if there is none.
  double maximum;
} wagiri_param;

// Hears one outcome of `wagiri_plugin_check` as soon as it is there: `good` is 1 or 0, `place` the file or a stage,
// `text` what was checked, or what is wrong. The texts are valid during the call. Called on the thread that called. Must
// return normally: no C++ exception, no longjmp.
typedef void (*wagiri_finding)(void *user,
                               int32_t good,
                               const char *place,
                               const char *text);

// How a network is trained. Set `struct_size` to sizeof; a 0 anywhere else is what the preset says. The sizes of the two
// presets and the range of each field are in the user's guide of Noise2Inverse.
typedef struct wagiri_n2i_options {
  // sizeof(wagiri_n2i_options).
  uint32_t struct_size;
  // WAGIRI_N2I_SMALL or WAGIRI_N2I_LARGE.
  int32_t preset;
  // WAGIRI_N2I_AUTO, _CPU, _CUDA or _WGPU.
  int32_t device;
  // 1 continues the training that was stopped in the work folder; every other field as it was.
  uint32_t resume;
  // Slices that the network sees, odd: the slice and as many below as above; 1 is plain 2D.
  uint32_t channels;
  // Channels of the network at full size, a multiple of 8.
  uint32_t base_width;
  // Levels below full size.
  uint32_t depth;
  // What follows a convolution: 1 batch normalisation, 2 a bias.
  int32_t norm;
  // Edge of the square patches, px.
  uint64_t patch_px;
  // Patches in a step.
  uint64_t batch;
  // Patches in an epoch.
  uint64_t slices_per_epoch;
  // Epochs.
  uint64_t epochs;
  // Largest step size of Adam.
  double learning_rate;
  // Steps over which the step size grows to it; -1 for none.
  int64_t warmup_steps;
  // Gradients with a larger norm are scaled to it; negative for never.
  double clip_norm;
  // Weight of the old in the running average of the weights, below 1; negative for no average.
  double average;
  // Slices that are kept out of the training, for the validation loss; a quarter of them at most.
  uint64_t held_out;
  // Epochs without a better validation loss after which the training ends; -1 for never.
  int64_t patience;
  // Where random numbers start.
  uint64_t seed;
  // Seconds after which a checkpoint is written also within an epoch.
  double checkpoint_s;
  // How the step size falls: 1 as a cosine to 0, 2 not at all.
  int32_t decay;
  // Not used; 0.
  int32_t reserved;
} wagiri_n2i_options;

// Losses of a finished epoch: mean squared errors of the normalised values. This struct never grows.
typedef struct wagiri_n2i_epoch {
  // From 1.
  uint64_t epoch;
  // Steps done at its end.
  uint64_t steps;
  // Mean over its steps.
  double training;
  // On the slices that are kept out.
  double validation;
  // Step size at its end.
  double learning_rate;
  // Seconds of training until its end, stops not counted.
  double seconds;
} wagiri_n2i_epoch;

// How far a training is. Everything in it is valid during the callback only.
typedef struct wagiri_n2i_report {
  // sizeof(wagiri_n2i_report) of the loaded library.
  uint32_t struct_size;
  // 1 if an epoch has just ended: its losses are the last of `history`.
  uint32_t epoch_done;
  // Epoch under way, from 1.
  uint64_t epoch;
  // Epochs in all.
  uint64_t epochs;
  // Steps done, by an earlier run too if this one continues it.
  uint64_t step;
  // Steps in all.
  uint64_t steps;
  // Loss of the last step, the mean squared error of the normalised values.
  double loss;
  // Mean loss of the last epoch; negative before its end.
  double training;
  // Loss on the slices that are kept out; negative before there is one.
  double validation;
  // Step size.
  double learning_rate;
  // Seconds of training, stops not counted.
  double elapsed_s;
  // Estimated seconds left; negative while there is nothing to estimate from.
  double eta_s;
  // All finished epochs, those of an earlier run too.
  const struct wagiri_n2i_epoch *history;
  // Their number.
  uint64_t history_count;
} wagiri_n2i_report;

// Called after each step of a training, within long ones again, on the thread that called `wagiri_n2i_train`. 0 continues, anything else stops:
// the training is saved and WAGIRI_CANCELLED returned. Must return normally: no C++ exception, no longjmp.
typedef int32_t (*wagiri_n2i_progress)(void *user,
                                       const struct wagiri_n2i_report *report);

// What a training did.
typedef struct wagiri_n2i_summary {
  // sizeof(wagiri_n2i_summary), set by the caller.
  uint32_t struct_size;
  // Why it ended, WAGIRI_N2I_FINISHED to WAGIRI_N2I_DIVERGED.
  int32_t ended;
  // Finished epochs, those of an earlier run too.
  uint64_t epochs;
  // Steps at the end of the last of them.
  uint64_t steps;
  // Its mean loss; negative if there is none.
  double training;
  // Its loss on the slices that are kept out; negative if there is none.
  double validation;
} wagiri_n2i_summary;

// Success.
#define WAGIRI_OK 0

// An argument, option or parameter is outside what is accepted.
#define WAGIRI_INVALID 1

// A file, folder, frame, stage or parameter that was named does not exist.
#define WAGIRI_NOT_FOUND 2

// The input is valid, but of a kind that this version does not handle.
#define WAGIRI_UNSUPPORTED 3

// A file is malformed or truncated, or its parts contradict each other.
#define WAGIRI_FORMAT 4

// The operating system refused to read or write.
#define WAGIRI_IO 5

// A memory budget, disk space or size limit does not suffice.
#define WAGIRI_LIMIT 6

// A device, driver or optional component is not there.
#define WAGIRI_UNAVAILABLE 7

// A callback asked to stop.
#define WAGIRI_CANCELLED 8

// A plugin could not be loaded, broke its contract, or failed.
#define WAGIRI_PLUGIN 9

// A defect of wagiri itself; please report it.
#define WAGIRI_INTERNAL 10

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// ABI of the loaded library: major << 16 | minor. Thread-safe, cannot fail.
uint32_t wagiri_abi_version(void);

// Version of the loaded library, such as "0.1.0". Static: never free it. Thread-safe, cannot fail.
const char *wagiri_version(void);

// What the loaded library was built with: a set of WAGIRI_FEATURE_ bits. Unknown bits are to be ignored.
// Thread-safe, cannot fail.
uint64_t wagiri_features(void);

// Panics inside the library on purpose and always returns WAGIRI_INTERNAL, so that a host can test its error path:
// a defect of wagiri comes back as an error like any other and never ends the process. Thread-safe.
wagiri_status wagiri_self_test_panic(struct wagiri_error **err);

// Parses and checks a chain: one line, such as "normalise | ring.sort kernel_px=5 | recon.fbp center_px=auto", or the text
// of a chain file, a TOML table [[stage]] for each stage. The first word may tell what the data are: raw, sinograms or
// volume; without it the first stage does. The stages are those that `ctx` knows now. On success `*out` is a new chain to be freed with `wagiri_chain_free`, on
// error NULL. Thread-safe.
//
// WAGIRI_NOT_FOUND: unknown stage or parameter. WAGIRI_INVALID: a value, or stages that do not fit together.
wagiri_status wagiri_chain_parse(const struct wagiri_context *ctx,
                                 const char *text,
                                 struct wagiri_chain **out,
                                 struct wagiri_error **err);

// Sets parameter `param` of stage `stage` ("recon.fbp", "center_px") from text. After an error the chain is as before.
wagiri_status wagiri_chain_set(struct wagiri_chain *chain,
                               const char *stage,
                               const char *param,
                               const char *value,
                               struct wagiri_error **err);

// Finds out what a run will take, without computing anything but the axis where the chain says auto. `options` and
// `progress` may be NULL. Set `out->struct_size` first. Thread-safe.
//
// WAGIRI_LIMIT: not even one row fits into the memory budget.
wagiri_status wagiri_chain_plan(const struct wagiri_context *ctx,
                                const struct wagiri_chain *chain,
                                const struct wagiri_scan *scan,
                                const struct wagiri_run_options *options,
                                wagiri_progress progress,
                                void *user,
                                struct wagiri_plan *out,
                                struct wagiri_error **err);

// Makes one slice, of detector row `row`, and writes no file. `out` is [1, slice_height, slice_width] of
// `wagiri_chain_plan`. `progress` may be NULL. Thread-safe.
wagiri_status wagiri_chain_preview(const struct wagiri_context *ctx,
                                   const struct wagiri_chain *chain,
                                   const struct wagiri_scan *scan,
                                   uint64_t row,
                                   wagiri_progress progress,
                                   void *user,
                                   struct wagiri_view_mut out,
                                   struct wagiri_error **err);

// Makes all slices and writes them as TIFF files into the folder `out_dir`, which is made if it does not exist. Files
// are written aside and renamed: after an error or a cancelled run finished slices stay and none is half-written. The
// folder also gets wagiri-run.txt, by which `options->resume` continues the run. `options`, `progress` and `summary` may be
// NULL; else set `summary->struct_size` first. Thread-safe, but two runs cannot share a folder.
//
// WAGIRI_INVALID: another run is writing to the folder, or the run in it cannot be continued, because something changed.
// WAGIRI_NOT_FOUND: there is no run to continue. WAGIRI_FORMAT: wagiri-run.txt is damaged.
wagiri_status wagiri_chain_run(const struct wagiri_context *ctx,
                               const struct wagiri_chain *chain,
                               const struct wagiri_scan *scan,
                               const char *out_dir,
                               const struct wagiri_run_options *options,
                               wagiri_progress progress,
                               void *user,
                               struct wagiri_summary *summary,
                               struct wagiri_error **err);

// Makes all slices and hands them to `slice`, which gets `slice_user`. Otherwise as `wagiri_chain_run`.
wagiri_status wagiri_chain_run_to(const struct wagiri_context *ctx,
                                  const struct wagiri_chain *chain,
                                  const struct wagiri_scan *scan,
                                  wagiri_slice slice,
                                  void *slice_user,
                                  const struct wagiri_run_options *options,
                                  wagiri_progress progress,
                                  void *user,
                                  struct wagiri_summary *summary,
                                  struct wagiri_error **err);

// Frees a chain; NULL is allowed. No function may be using it.
void wagiri_chain_free(struct wagiri_chain *chain);

// Makes a context and starts its threads. `options` may be NULL: all defaults. On success `*out` is a new context to
// be freed with `wagiri_context_free`, on error NULL. Thread-safe.
//
// WAGIRI_UNAVAILABLE: the demanded device is not there.
wagiri_status wagiri_context_new(const struct wagiri_context_options *options,
                                 struct wagiri_context **out,
                                 struct wagiri_error **err);

// Sends log records to `call` until another one is set or the context is freed; NULL stops. The log is one per
// process: every context with a logger gets the records of all. The first record names the version. When this
// function or `wagiri_context_free` returns, the former `call` runs no more. Not to be called from a logger.
//
// WAGIRI_UNAVAILABLE: the process is itself written in Rust and has its own logger.
wagiri_status wagiri_context_set_logger(struct wagiri_context *ctx,
                                        wagiri_log call,
                                        void *user,
                                        struct wagiri_error **err);

// Frees a context after its threads have ended; NULL is allowed. No function may be using it. Scans and chains made
// with it stay valid.
void wagiri_context_free(struct wagiri_context *ctx);

// Writes the number of devices that this version can compute on. Thread-safe.
wagiri_status wagiri_device_count(const struct wagiri_context *ctx,
                                  uint32_t *count,
                                  struct wagiri_error **err);

// Describes device `index`, from 0. Set `out->struct_size` first. Thread-safe.
wagiri_status wagiri_device_info(const struct wagiri_context *ctx,
                                 uint32_t index,
                                 struct wagiri_device *out,
                                 struct wagiri_error **err);

// Splits the views of a scan into interleaved subsets and reconstructs each by itself with `chain`, which must end with a
// reconstruction, into the folder `work_dir`: what a network is trained on. The axis is found once, on all views. `options`,
// `progress` and `out` may be NULL; else set `out->struct_size` first. Thread-safe, but two calls cannot share a folder.
//
// WAGIRI_INVALID: fewer than 8 views for each subset. WAGIRI_CANCELLED: what is finished stays, and `options->resume` goes on.
wagiri_status wagiri_n2i_split(const struct wagiri_context *ctx,
                               const struct wagiri_chain *chain,
                               const struct wagiri_scan *scan,
                               const char *work_dir,
                               const struct wagiri_n2i_split_options *options,
                               wagiri_progress progress,
                               void *user,
                               struct wagiri_n2i_work *out,
                               struct wagiri_error **err);

// Tells what the work folder `work_dir` holds, which `wagiri_n2i_split` filled. Set `out->struct_size` first. Thread-safe.
wagiri_status wagiri_n2i_work_info(const char *work_dir,
                                   struct wagiri_n2i_work *out,
                                   struct wagiri_error **err);

// Makes the chain that applies the model in the file `model_path`, which is read when it runs: `chain` with recon.n2i in the
// place of its reconstruction, of which it keeps the parameters. It runs like any other. On success `*out` is a new chain to be
// freed with `wagiri_chain_free`, on error NULL. Thread-safe.
//
// WAGIRI_INVALID: the chain has no reconstruction.
wagiri_status wagiri_n2i_chain(const struct wagiri_chain *chain,
                               const char *model_path,
                               struct wagiri_chain **out,
                               struct wagiri_error **err);

// Status of an error, the same that the function returned; WAGIRI_OK for NULL. Thread-safe.
wagiri_status wagiri_error_status(const struct wagiri_error *error);

// One sentence for people in UTF-8: where, what, and what would be accepted; "" for NULL. Valid until the error is
// freed. Thread-safe.
const char *wagiri_error_message(const struct wagiri_error *error);

// Frees an error; NULL is allowed.
void wagiri_error_free(struct wagiri_error *error);

// Describes a chain. Set `out->struct_size` first. Thread-safe.
wagiri_status wagiri_chain_info(const struct wagiri_chain *chain,
                                struct wagiri_chain_details *out,
                                struct wagiri_error **err);

// Opens data of the kind that the chain starts from: raw frames, or images of sinograms or slices. `path` and `options` go
// before what stands in the chain; both may be NULL. The chain does not change. On success `*out` is a new scan to be freed
// with `wagiri_scan_free`, on error NULL. Thread-safe.
//
// WAGIRI_INVALID: neither the chain nor `path` says where the data are. WAGIRI_NOT_FOUND: an option that this kind of data
// does not have. Otherwise as `wagiri_scan_open`.
wagiri_status wagiri_chain_open(const struct wagiri_chain *chain,
                                const char *path,
                                const struct wagiri_scan_options *options,
                                struct wagiri_scan **out,
                                struct wagiri_error **err);

// Writes the number of slices (files) that the chain makes of all of `scan`, without reading it. Thread-safe.
wagiri_status wagiri_chain_slices(const struct wagiri_context *ctx,
                                  const struct wagiri_chain *chain,
                                  const struct wagiri_scan *scan,
                                  uint64_t *slices,
                                  struct wagiri_error **err);

// Reads a model that `wagiri_n2i_train` wrote. On success `*out` is to be freed with `wagiri_model_free`, on error NULL.
// Thread-safe.
//
// WAGIRI_FORMAT: the file is no model, truncated, or of another version.
wagiri_status wagiri_model_open(const char *path,
                                struct wagiri_model **out,
                                struct wagiri_error **err);

// Describes a model. Set `out->struct_size` first. Thread-safe.
wagiri_status wagiri_model_info(const struct wagiri_model *model,
                                struct wagiri_model_details *out,
                                struct wagiri_error **err);

// Frees a model; NULL is allowed. No function may be using it.
void wagiri_model_free(struct wagiri_model *model);

// From `counts` [row, view, col] to absorbance `out`, of the same shape, with direct-beam images `flats`
// [flat, row, col] and the image without beam `dark` [1, row, col]. The flats count as taken evenly from the first to
// the last view. `options` and `progress` may be NULL. Thread-safe.
//
// WAGIRI_INVALID: shapes that do not fit. WAGIRI_FORMAT: a count that is not a finite number, or every view is black.
wagiri_status wagiri_normalise(const struct wagiri_context *ctx,
                               struct wagiri_view counts,
                               struct wagiri_view flats,
                               struct wagiri_view dark,
                               const struct wagiri_normalise_options *options,
                               wagiri_progress progress,
                               void *user,
                               struct wagiri_view_mut out,
                               struct wagiri_error **err);

// Finds the rotation axis of a scan. `options` and `progress` may be NULL. Set `out->struct_size` first. Thread-safe.
//
// WAGIRI_UNSUPPORTED: the methods do not agree and nothing is guessed; the text names what they found.
wagiri_status wagiri_find_center(const struct wagiri_context *ctx,
                                 const struct wagiri_scan *scan,
                                 const struct wagiri_center_options *options,
                                 wagiri_progress progress,
                                 void *user,
                                 struct wagiri_center *out,
                                 struct wagiri_error **err);

// Removes rings from sinograms `sino` [row, view, col] in place by sorting each column and taking the median across
// `kernel_px` columns (Vo et al. 2018, algorithm 3, doi:10.1364/OE.26.028396). 0 and 1 change nothing, even widths
// grow by 1. `progress` may be NULL. Thread-safe in `ctx`.
//
// WAGIRI_INVALID: NaN in a sinogram, or a window wider than the detector allows.
wagiri_status wagiri_remove_rings(const struct wagiri_context *ctx,
                                  struct wagiri_view_mut sino,
                                  uint32_t kernel_px,
                                  wagiri_progress progress,
                                  void *user,
                                  struct wagiri_error **err);

// Filtered back-projection of sinograms `sino` [row, view, col], absorbance, into slices `out` [row, col, col] in
// 1/cm (x to the right, y down). The views are those of a half turn, or of a full one with the axis near the middle.
// `options` and `progress` may be NULL. Thread-safe in `ctx`.
//
// WAGIRI_INVALID: shapes that do not fit, an axis outside the detector, a value that is not a number.
wagiri_status wagiri_reconstruct(const struct wagiri_context *ctx,
                                 const struct wagiri_geometry *geometry,
                                 const struct wagiri_fbp_options *options,
                                 struct wagiri_view sino,
                                 wagiri_progress progress,
                                 void *user,
                                 struct wagiri_view_mut out,
                                 struct wagiri_error **err);

// Opens a scan: a folder, or a file of several frames. `options` may be NULL. On success `*out` is a new scan to be
// freed with `wagiri_scan_free`, on error NULL. Frames are read later, from the same files. Thread-safe.
//
// WAGIRI_NOT_FOUND, WAGIRI_FORMAT, WAGIRI_UNSUPPORTED and WAGIRI_IO tell what is wrong with the files.
wagiri_status wagiri_scan_open(const char *path,
                               const struct wagiri_scan_options *options,
                               struct wagiri_scan **out,
                               struct wagiri_error **err);

// Makes a scan of arrays in counts: `views` [view, row, col], `flats` [flat, row, col], `dark` [1, row, col], and one
// angle per view in `angles_rad`. The flats count as taken evenly from the first to the last view. `pixel_um` 0 is
// unknown. Everything is copied: the arrays may go when the function returns. On success `*out` is a new scan to be
// freed with `wagiri_scan_free`, on error NULL. Thread-safe.
wagiri_status wagiri_scan_from_arrays(struct wagiri_view views,
                                      struct wagiri_view flats,
                                      struct wagiri_view dark,
                                      const double *angles_rad,
                                      double pixel_um,
                                      struct wagiri_scan **out,
                                      struct wagiri_error **err);

// Makes a scan of pixels that are not raw any more, `rows` [row, view, col] or [z, y, x]: sinograms in absorbance with one
// angle per view in `angles_rad`, or a volume, whose `angles_rad` is NULL. `pixels` tells which, WAGIRI_PIXELS_SINOGRAM or
// WAGIRI_PIXELS_VOLUME. `pixel_um` 0 is unknown. Everything is copied: the arrays may go when the function returns. Chains
// that start with sinograms or volume run on it; to open files of that kind see `wagiri_chain_open`. On success `*out` is a
// new scan to be freed with `wagiri_scan_free`, on error NULL. Thread-safe.
wagiri_status wagiri_scan_from_rows(struct wagiri_view rows,
                                    int32_t pixels,
                                    const double *angles_rad,
                                    double pixel_um,
                                    struct wagiri_scan **out,
                                    struct wagiri_error **err);

// Describes a scan. Set `out->struct_size` first. Thread-safe.
wagiri_status wagiri_scan_info(const struct wagiri_scan *scan,
                               struct wagiri_scan_details *out,
                               struct wagiri_error **err);

// Reads one image, or a band of it, in counts: `out` is [1, rows, cols] and takes the detector rows from `first_row`
// on. `frame` is a WAGIRI_FRAME_ value. Thread-safe.
wagiri_status wagiri_scan_read_frame(const struct wagiri_scan *scan,
                                     int32_t frame,
                                     uint64_t index,
                                     uint64_t first_row,
                                     struct wagiri_view_mut out,
                                     struct wagiri_error **err);

// Reads detector rows from `first_row` on as sinograms `out` [row, view, col] in absorbance, normalised with the
// defaults of the stage normalise; black views get the mean of the others. Finished sinograms come as they are. The first call for a scan looks at up to 32
// rows of every view to find them.
// `progress` may be NULL. Thread-safe.
wagiri_status wagiri_scan_read_sinogram(const struct wagiri_context *ctx,
                                        const struct wagiri_scan *scan,
                                        uint64_t first_row,
                                        struct wagiri_view_mut out,
                                        wagiri_progress progress,
                                        void *user,
                                        struct wagiri_error **err);

// Frees a scan; NULL is allowed. No function may be using it.
void wagiri_scan_free(struct wagiri_scan *scan);

// Writes the number of stages: what a chain may start from and end with, and plugins, included. Thread-safe.
wagiri_status wagiri_stage_count(const struct wagiri_context *ctx,
                                 uint32_t *count,
                                 struct wagiri_error **err);

// Describes stage `index`, from 0. Set `out->struct_size` first. Thread-safe.
wagiri_status wagiri_stage_info(const struct wagiri_context *ctx,
                                uint32_t index,
                                struct wagiri_stage *out,
                                struct wagiri_error **err);

// Describes parameter `param` of stage `index`, both from 0. Set `out->struct_size` first. Thread-safe.
wagiri_status wagiri_stage_param(const struct wagiri_context *ctx,
                                 uint32_t index,
                                 uint32_t param,
                                 struct wagiri_param *out,
                                 struct wagiri_error **err);

// Loads the plugin library `path` and adds its stages at the end. Loading runs code of that file with all rights of
// the process: load only what the user trusts. It stays loaded until the process ends. Chains parsed before do not
// change.
//
// WAGIRI_PLUGIN: not a plugin, made for another ABI, or its stages have names that exist already; then nothing is
// added.
wagiri_status wagiri_plugin_load(struct wagiri_context *ctx,
                                 const char *path,
                                 struct wagiri_error **err);

// Loads the plugin library `path` and tries each of its stages on small slabs: descriptions, slab heights, threads,
// cancelling. `finding` may be NULL. What `wagiri_plugin_load` says of trust holds here too; a plugin that crashes ends
// the process, and the last finding then names the stage. Thread-safe.
//
// WAGIRI_PLUGIN: the library cannot be loaded, or a stage breaks the contract.
wagiri_status wagiri_plugin_check(const char *path,
                                  wagiri_finding finding,
                                  void *user,
                                  struct wagiri_error **err);

// Trains a network on the subsets in `work_dir` and writes it to the file `model_path`. A checkpoint is kept in the folder, by
// which `options->resume` goes on after an end of any kind. `options`, `progress` and `summary` may be NULL; else set
// `summary->struct_size` first. Thread-safe, but two calls cannot share a folder.
//
// WAGIRI_CANCELLED: the callback asked to stop; checkpoint, model and `summary` are written. WAGIRI_UNAVAILABLE: the device
// is not there. WAGIRI_LIMIT: too little memory, or the disk is full; the checkpoint before is kept.
wagiri_status wagiri_n2i_train(const struct wagiri_context *ctx,
                               const char *work_dir,
                               const char *model_path,
                               const struct wagiri_n2i_options *options,
                               wagiri_n2i_progress progress,
                               void *user,
                               struct wagiri_n2i_summary *summary,
                               struct wagiri_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WAGIRI_H */
