// Words of other languages and libraries (Python, Keras, PyTorch) that people write here out of
// habit, and what to write instead. For advice under an error only: none of them is reserved.
#ifndef NNC_FOREIGN_H
#define NNC_FOREIGN_H

// All return NULL for a word that has no advice.
const char *foreign_name(const char *name);     // a value, function, layer or keyword
const char *foreign_type(const char *name);     // the type to write: "f32"
const char *foreign_argument(const char *name); // the name to write: "lr"; or advice: foreign_extra
const char *foreign_extra(const char *name);    // an argument that nothing here has
const char *foreign_setting(const char *name);  // of a train or data block
const char *foreign_method(const char *name);   // Net.save(...), called at the top of a file

#endif
