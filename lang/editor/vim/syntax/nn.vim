" Syntax of .nn, a language for neural networks. Made by lang/editor/generate.sh; don't edit.
if exists("b:current_syntax")
  finish
endif
syntax keyword nnKeyword and else fn for if let not or over param scan state with yield
" These words are names elsewhere: keywords only where a line begins, or before what follows them.
syntax match nnKeyword /\(^\|[{;]\)\s*\zs\(as\|config\|const\|data\|draw\|every\|from\|in\|layer\|maximize\|minimize\|model\|on\|optimizer\|predict\|report\|step\|stop\|train\|use\|when\|where\)\ze\s\+[^=:.,)]/
syntax match nnKeyword /\s\zs\(on\|from\|as\|in\|every\|when\)\ze\s/
syntax keyword nnFunction abs accuracy adadelta adagrad adam adamax adamw all any argmax assert at_label attention
syntax keyword nnFunction auc augmented batch_mean batch_roll batch_sum bce bce_probability bernoulli
syntax keyword nnFunction binary_accuracy categorical_hinge causal causal_mask ceil celu clip coloured column_norms
syntax keyword nnFunction concat confusion constant constrained contrastive cos cosine cosine_loss cosine_restarts
syntax keyword nnFunction cosine_similarity cross_entropy cross_entropy_normalized cross_entropy_probability
syntax keyword nnFunction decayed div dot elu erf exp expm1 exponential exponential_decay f1 fan_in fan_out flatten
syntax keyword nnFunction floor focal ftrl gelu gelu_tanh glorot_normal glorot_uniform glu grad grid hard_shrink
syntax keyword nnFunction hard_sigmoid hard_swish hard_tanh he_normal he_uniform heaviside hinge huber identity
syntax keyword nnFunction integer integers interpolation inverse_time iota kl_divergence known l1 l1_l2 l2 leading
syntax keyword nnFunction leaky_relu lecun_normal lecun_uniform len linear lion log log1p log_cosh log_scale
syntax keyword nnFunction log_sigmoid log_softmax macro_f1 mae mape mask masked masked_mean max max_norm max_pool1d
syntax keyword nnFunction max_pool2d mean min min_max min_max_norm misclassified mish mod mse msle nadam
syntax keyword nnFunction non_negative norm normal normalized oihw one_cycle one_hot ones orthogonal over_weights
syntax keyword nnFunction overlay pad pick picture plane plane_point poisson polynomial_decay pow precision
syntax keyword nnFunction quantile r2 rank recall relu relu6 renamed reshape resize reverse rmse rmsprop round
syntax keyword nnFunction rsqrt same sample scatter select selu sgd shape sigmoid sign sin sinusoids size
syntax keyword nnFunction soft_shrink softmax softplus softsign split sqrt squared_hinge standardize step
syntax keyword nnFunction steps_down stop_gradient sum sum_of_sizes sum_of_squares swapped swish tanh tanh_shrink
syntax keyword nnFunction threshold top top_k_accuracy total transpose triplet truncated_normal uniform unit_norm
syntax keyword nnFunction valid variance_scaling warm_up weights zeros
syntax keyword nnType f32 f64 int index bool
syntax keyword nnBoolean true false training
syntax match nnLayer /\<[A-Z][A-Za-z0-9_]*\>/
syntax match nnNumber /\<\d\+\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?\>/
syntax match nnOperator /|>\|->/
syntax region nnString start=/"/ skip=/\\./ end=/"/ oneline
syntax match nnComment /\/\/.*/ contains=nnTodo
syntax match nnDoc /\/\/\/.*/
syntax keyword nnTodo TODO contained
highlight default link nnKeyword Keyword
highlight default link nnFunction Function
highlight default link nnType Type
highlight default link nnBoolean Boolean
highlight default link nnLayer Structure
highlight default link nnNumber Number
highlight default link nnOperator Operator
highlight default link nnString String
highlight default link nnComment Comment
highlight default link nnDoc SpecialComment
highlight default link nnTodo Todo
let b:current_syntax = "nn"
