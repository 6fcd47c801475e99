/* Compiles a model, runs it on a simulated core, and prints what came out and how long it took.
 *
 *   build/examples/c/run_model MODEL.onnx [CHIP]
 *
 * Every input is filled with ones. */
#include <presil/presil.h>
#include <stdio.h>
#include <stdlib.h>

/* The first call that fails says why. */
static void check(presil_status status) {
  if (status == PRESIL_OK) return;
  fprintf(stderr, "run_model: %s\n", presil_error_message());
  exit(2);
}

static float* ones(const presil_tensor* type) {
  const size_t count = type->bytes / sizeof(float);
  float* values = malloc(type->bytes);
  if (values == NULL) abort();
  for (size_t i = 0; i < count; ++i) values[i] = 1.0F;
  return values;
}

static void print_output(const presil_tensor* tensor) {
  printf("%s: %s [", tensor->name, presil_dtype_name(tensor->dtype));
  for (size_t i = 0; i < tensor->rank; ++i) printf("%s%lld", i == 0 ? "" : ", ", (long long)tensor->shape[i]);
  printf("]");
  if (tensor->dtype == PRESIL_FP32) {
    const float* values = tensor->data;
    for (size_t i = 0; i < tensor->bytes / sizeof(float) && i < 4; ++i) printf(" %g", (double)values[i]);
  }
  printf("\n");
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: run_model MODEL.onnx [CHIP]\n");
    return 2;
  }
  presil_chip* chip = NULL;
  presil_program* program = NULL;
  presil_result* result = NULL;
  check(presil_chip_load(argc > 2 ? argv[2] : "trn2", &chip));
  check(presil_compile(argv[1], chip, NULL, &program));

  /* Inputs that are not given, here all that are not fp32, are drawn. */
  presil_tensor inputs[16];
  float* values[16];
  size_t count = 0;
  for (size_t i = 0; presil_program_input(program, i) != NULL && count < 16; ++i) {
    inputs[count] = *presil_program_input(program, i);
    if (inputs[count].dtype != PRESIL_FP32) continue;
    inputs[count].data = values[count] = ones(&inputs[count]);
    ++count;
  }
  check(presil_run(program, inputs, count, NULL, &result));
  for (size_t i = 0; i < count; ++i) free(values[i]);

  int code = 0;
  if (presil_result_ok(result)) {
    for (size_t i = 0; presil_result_output(result, i) != NULL; ++i) print_output(presil_result_output(result, i));
    printf("%s: %.3f us, %.0f cycles of the tensor engine, %llu instructions\n", presil_chip_name(chip),
           1e6 * presil_result_seconds(result), presil_result_cycles(result, "tensor"),
           (unsigned long long)presil_result_instructions(result));
  } else {
    printf("%s\n", presil_result_outcome(result));
    code = 1;
  }
  presil_result_free(result);
  presil_program_free(program);
  presil_chip_free(chip);
  return code;
}
