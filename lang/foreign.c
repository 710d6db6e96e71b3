// The tables behind foreign.h: one line per habit. A word may stand in several of them.
#include "foreign.h"

#include <stddef.h>
#include <string.h>

typedef struct {
  const char *words; // parted by spaces
  const char *advice;
} Habit;

static const Habit names[] = {
    // Python and its relatives
    {"True False", "truth values are written `true` and `false`"},
    {"None null nil", "there is no such value: leave the argument out"},
    {"self this", "parts of a layer are named by `let`, parameters by `param`, without `self`"},
    {"import", "names of the library are brought by `use std.layers: Dense`"},
    {"def func function",
     "a function is `fn f(x: f32) -> f32 { ... }`; with parameters, `layer` or "
     "`model`"},
    {"class struct", "a network is `model Net(x: f32[4]) -> f32[3] { ... }`"},
    {"return", "the last line of a block is its value: write it without `return`"},
    {"lambda", "declare a function, `fn f(x: f32[..]) -> f32[..] { ... }`, and give its name"},
    {"elif elsif", "write `else if`"},
    {"while", "loops are `for i in 0..n with h = x { h = ... }`, unrolled when compiling"},
    {"var val mut", "a value is named by `let`"},
    {"range", "a range is written with two points: `0..3`"},
    {"print println printf", "nothing is printed by a network: `report` shows a figure after each "
                             "epoch, `predict` writes values"},
    {"assert", "it is called: assert(condition, \"why\")"},
    {"end pass", "a block begins with `{` and ends with `}`"},
    {"np numpy torch tf keras nn jax jnp math", "functions stand alone: `exp(x)`, not `np.exp(x)`"},
    {"F", "functions stand alone: `relu`, not `F.relu`"},
    // data
    {"read_csv read_table genfromtxt loadtxt", "write csv(\"file.csv\")"},
    {"KFold StratifiedKFold cross_val_score", "write kfold(5)"},
    {"train_test_split random_split", "write `validate = last(0.2)`"},
    {"DataLoader TensorDataset", "rows are named in the data block, `batch 32` in the train block"},
    {"StandardScaler Normalization", "write `row[0..4] |> standardize`"},
    {"MinMaxScaler", "write `row[0..4] |> min_max`"},
    // gradients
    {"gradient gradients GradientTape autograd backward", "write `grad(e, x)`, an expression; "
                                                          "`minimize` takes gradients by itself"},
    {"detach no_grad", "write `stop_gradient(x)`"},
    {"parameters trainable_variables trainable_weights",
     "`over` says what is trained, of all it depends on: minimize LOSS over Net with adam(0.01)"},
    {"eval requires_grad",
     "a layer is in training mode where it is trained, elsewhere in evaluation "
     "mode; training(Net)(x) forces it"},
    {"T mT", "write transpose(x, [1, 0])"},
    {"std stddev var",
     "fields are scaled by `row[0..4] |> standardize`; else sqrt(mean((x - mean(x)) "
     "^ 2))"},
    // steps on rows
    {"dropna", "write `drop_missing`"},
    {"shuffle sample", "write `shuffled(seed = 1)`"},
    // layers
    {"TimeDistributed",
     "layers act on the last axis: Dense(1) of a sequence is one for each place"},
    {"Sequential", "layers are joined by the pipe: x |> Dense(16, activation = relu) |> Dense(3)"},
    {"Input InputLayer",
     "inputs are parameters of the model: model Net(x: f32[4]) -> f32[3] {...}"},
    {"Linear", "write `Dense(units)`: the size of the input comes from the input"},
    {"LazyLinear", "write `Dense(units)`"},
    {"BatchNormalization BatchNorm1d BatchNorm2d", "write `BatchNorm`"},
    {"LayerNormalization", "write `LayerNorm`"},
    {"ReLU Relu", "activations are functions: `x |> relu`, or `Dense(16, activation = relu)`"},
    {"Sigmoid Tanh Softmax GELU SELU Softplus Activation",
     "activations are functions in small letters: `x |> sigmoid`"},
    {"LeakyReLU LeakyRelu ELU PReLU", "activations are functions: `x |> leaky_relu(0.01)`"},
    {"silu SiLU", "write `swish`"},
    // losses and metrics
    {"sparse_categorical_crossentropy SparseCategoricalCrossentropy categorical_crossentropy "
     "CategoricalCrossentropy CrossEntropyLoss crossentropy NLLLoss nll_loss softmax_cross_entropy",
     "write `cross_entropy(scores, label)`, of scores before softmax"},
    {"binary_crossentropy BinaryCrossentropy binary_cross_entropy BCEWithLogitsLoss BCELoss",
     "write `bce(score, target)`, of scores before sigmoid, or `bce_probability`"},
    {"mean_squared_error MeanSquaredError MSELoss mse_loss MSE", "write `mse(prediction, target)`"},
    {"mean_absolute_error MeanAbsoluteError L1Loss l1_loss MAE", "write `mae(prediction, target)`"},
    {"HuberLoss Huber SmoothL1Loss", "write `huber(prediction, target)`"},
    {"Accuracy", "write `accuracy(scores, label)`"},
    // optimizers
    {"SGD GradientDescent", "write `sgd(0.01)`"},
    {"Adam AdamW RMSprop RMSProp Adagrad",
     "optimizers are written in small letters: `adam(0.001)`"},
    // functions
    {"matmul mm bmm einsum", "a product of matrices is written `a @ b`"},
    {"where", "write `select(condition, a, b)`"},
    {"concatenate cat hstack vstack", "write `concat([a, b], axis = 0)`"},
    {"maximum", "write `max(a, b)`"},
    {"minimum", "write `min(a, b)`"},
    {"square", "write `x ^ 2`"},
    {"absolute fabs", "write `abs(x)`"},
    {"zeros_like ones_like", "`zeros` and `ones` take their shape from the other operand"},
    {"randn", "write `normal[3]`"},
    {"rand random", "write `uniform[3]`"},
    {"arange", "write `iota(n)`"},
    {"to_categorical", "write `one_hot(label)`"},
    {"unsqueeze expand_dims newaxis", "a new axis of length 1 is written `x[.., _]`"},
    {"squeeze", "an axis of length 1 is taken away by `x[.., 0]`"},
    {"view", "write `reshape(x, [3, -1])`"},
    {"permute", "write `transpose(x, [1, 0])`"},
    {"detach no_grad", "write `stop_gradient(x)`"},
    {"float cast astype", "a number is made by `f32(x)`"},
};

static const Habit types[] = {
    {"float float32 Float double f Tensor tensor FloatTensor ndarray number real", "f32"},
    {"int32 int64 long uint8 u8 label Label category", "index<n>"},
    {"boolean Bool", "bool"},
    {"integer Int", "int"},
};

static const Habit arguments[] = {
    {"learning_rate rate alpha", "lr"},
    {"weight_decay", "decay"},
    {"epsilon", "eps"},
    {"use_bias", "bias"},
    {"kernel_initializer initializer init", "weights"},
    {"out_features output_dim features", "units"},
    {"act", "activation"},
    {"return_sequences", "sequences"},
    {"p drop_prob dropout", "rate"},
    {"kernel_size", "kernel"},
    {"delimiter sep", "separator"},
    {"dim dims", "axis"},
    {"keepdims keepdim keep_dims", "keep"},
    {"y_true labels", "target"},
    {"y_pred logits", "scores"},
};

static const Habit extras[] = {
    {"stateful", "what lives from batch to batch is a state of a layer around a scan: state kept: "
                 "f32[units] = per_row(zeros)"},
    {"batch_first time_major", "a sequence is f32[time, features], the batch is no axis: leave it "
                               "out"},
    {"return_state", "a scan over a cell gives both: let (h, all) = scan ... { ... yield h }"},
    {"input_shape input_dim in_features batch_input_shape",
     "a layer takes the shape of its input by itself: leave it out"},
    {"name", "a layer is named by `let` or `as`: x |> Dense(16) as hidden"},
    {"training",
     "a layer is in training mode where it is trained; training(Net)(x) forces it elsewhere"},
    {"kernel_regularizer", "a penalty is a part of the loss: minimize LOSS + l2(0.01)(Net)"},
    {"from_logits", "`cross_entropy` and `bce` take scores, `cross_entropy_probability` and "
                    "`bce_probability` probabilities"},
    {"reduction reduce",
     "a loss is one number per example; `minimize` takes the mean of the batch"},
    {"axis dim", "it goes along the last axis, and the batch is no axis: leave it out"},
    {"dtype device inplace", "numbers are f32 and memory is the compiler's: leave it out"},
};

static const Habit settings[] = {
    {"loss",
     "what is minimized is a clause: minimize cross_entropy(scores, label) with adam(0.001)"},
    {"optimizer", "the optimizer follows the loss: minimize LOSS with adam(0.001)"},
    {"metrics metric", "write `report accuracy(scores, label)`"},
    {"lr learning_rate", "it belongs to the optimizer: minimize LOSS with adam(0.001)"},
    {"batch_size", "write `batch 32` in the train block"},
    {"validation_split validation_data validation val valid", "rows are set aside in the data "
                                                              "block: `validate = last(0.2)`"},
    {"callbacks early_stopping patience EarlyStopping",
     "write `stop when stalled(val.loss, 3)` in the train block"},
    {"test_size test_split split", "rows are set aside by `validate = last(0.2)`; others are named "
                                   "by `test = csv(\"test.csv\")`"},
    {"dataset source file path",
     "the rows are named in the data block: `train = csv(\"file.csv\")`"},
    {"model", "the model is applied in the loss: minimize mse(Net(x), y)"},
    {"data", "the data is named after `on`: train Fit on Flowers { ... }"},
    {"print verbose", "write `report` for figures, and `log every(100)`"},
};

static const Habit methods[] = {
    {"save save_weights state_dict", "the trainer saves the weights: `--out FILE.safetensors`"},
    {"load load_weights load_state_dict",
     "weights are loaded by `--load FILE`, or where an instance is made: Net(weights = \"FILE\")"},
    {"summary", "the trainer has `summary`"},
    {"evaluate score", "the trainer has `eval`; figures are named by `report` in a train block"},
    {"predict", "write `predict NAME on DATA { Net(x) }`"},
    {"plot show", "pictures are made by `draw` in a train block, and by `--curves FILE`"},
};

static const char *find(const Habit *table, size_t n, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; length && i < n; i++)
    for (const char *w = table[i].words; (w = strstr(w, name)); w += length)
      if ((w == table[i].words || w[-1] == ' ') && (w[length] == ' ' || w[length] == 0))
        return table[i].advice;
  return NULL;
}

#define FIND(table, name) find(table, sizeof table / sizeof *table, name)

const char *foreign_name(const char *name) {
  return FIND(names, name);
}
const char *foreign_type(const char *name) {
  return FIND(types, name);
}
const char *foreign_argument(const char *name) {
  return FIND(arguments, name);
}
const char *foreign_extra(const char *name) {
  return FIND(extras, name);
}
const char *foreign_method(const char *name) {
  return FIND(methods, name);
}
const char *foreign_setting(const char *name) {
  return FIND(settings, name);
}
