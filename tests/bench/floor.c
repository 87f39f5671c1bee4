/* The floor: the sheet's epoch for many 2-4-1 sigmoid networks on XOR, written for the machine and nothing else.
 *
 * A tile of networks stays in the core's nearest memory for all its epochs; every operation runs over the tile, which the
 * compiler turns into its widest vector instructions. It notes no loss and no solved network, as a run does.
 * Built and called by epoch.py: cc -O3 -march=native -ffast-math -fopenmp-simd -shared -fPIC.
 */
#include <math.h>

enum { TILE = 16, POINTS = 4, HIDDEN = 4, WEIGHTS = 17 };

/* 1 / (1 + exp(-z)): 2^r for the whole part r of the exponent, a polynomial for the rest; right to 2e-7. */
static inline float sigmoid(float z) {
  float t = fminf(fmaxf(-1.44269504f * z, -126), 126), r = rintf(t), f = t - r;
  float power = 1 + f * (0.693147182f + f * (0.240226462f + f * (0.0555041866f + f * (0.00961812911f + f * 0.00133335581f))));
  union { int i; float f; } scale = {.i = ((int)r + 127) << 23};
  return 1 / (1 + power * scale.f);
}

static const float x[POINTS][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
static const float y[POINTS] = {0, 1, 1, 0};

/* w: (tiles, 17, 16): of each hidden unit two weights and a bias, then the output's four weights and its bias. */
void train(float *w, long tiles, long epochs, float lr) {
  for (long tile = 0; tile < tiles; tile++, w += WEIGHTS * TILE) {
    float weight[WEIGHTS][TILE];
    for (int i = 0; i < WEIGHTS; i++)
#pragma omp simd
      for (int n = 0; n < TILE; n++) weight[i][n] = w[i * TILE + n];
    for (long epoch = 0; epoch < epochs; epoch++) {
      float slope[WEIGHTS][TILE] = {{0}};
      for (int p = 0; p < POINTS; p++) {
        float a[HIDDEN][TILE], delta[TILE];
#pragma omp simd
        for (int n = 0; n < TILE; n++) {
          float z = weight[16][n];
          for (int h = 0; h < HIDDEN; h++) {
            float input = x[p][0] * weight[3 * h][n] + x[p][1] * weight[3 * h + 1][n] + weight[3 * h + 2][n];
            a[h][n] = sigmoid(input);
            z += weight[12 + h][n] * a[h][n];
          }
          float prediction = sigmoid(z);
          delta[n] = 0.5f * (prediction - y[p]) * prediction * (1 - prediction);
        }
#pragma omp simd
        for (int n = 0; n < TILE; n++) {
          for (int h = 0; h < HIDDEN; h++) {
            float back = delta[n] * weight[12 + h][n] * a[h][n] * (1 - a[h][n]);
            slope[12 + h][n] += delta[n] * a[h][n];
            slope[3 * h][n] += back * x[p][0];
            slope[3 * h + 1][n] += back * x[p][1];
            slope[3 * h + 2][n] += back;
          }
          slope[16][n] += delta[n];
        }
      }
      for (int i = 0; i < WEIGHTS; i++)
#pragma omp simd
        for (int n = 0; n < TILE; n++) weight[i][n] -= lr * slope[i][n];
    }
    for (int i = 0; i < WEIGHTS; i++)
#pragma omp simd
      for (int n = 0; n < TILE; n++) w[i * TILE + n] = weight[i][n];
  }
}
