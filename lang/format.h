// What the files of the formatter share. The lines are the author's; the formatter settles what is
// between the tokens:
//
//   format.c         a pass from text to text, repeated until nothing changes; what it may not
//   change format_pieces.c  tokens and comments with what the tree says about them format_align.c
//   where each piece stands: indentation, and the alignments that the author made format_break.c
//   lines that are too wide
#ifndef NNC_FORMAT_H
#define NNC_FORMAT_H

#include "parse.h"

enum { FORMAT_WIDTH = 100, FORMAT_INDENT = 4, T_COMMENT = -1 };

// A token or a comment.
typedef struct {
  int kind; // T_... or T_COMMENT
  const char *text;
  uint32_t n, width;     // bytes, characters
  uint32_t start;        // byte in the source
  uint32_t line, source; // in the source: line and column, from 0
  uint32_t column;       // where it goes
  uint32_t pad;          // blanks before it that align it
  uint32_t group;        // of pieces that stand in one column, 0: none
  uint32_t open;         // the innermost bracket around it, 0: none
  uint32_t match;        // of a bracket: its partner
  uint32_t statement;    // the piece that begins the statement (or the item, or the declaration)
  bool first;            // of its line
  bool blank;            // after a blank line
  bool glued;            // no blank before it
  bool binary;           // a `-` between two operands
} Piece;

typedef struct {
  Session *s;
  uint32_t file;
  BUF(Piece) piece; // [0] is unused
  uint32_t n_group;
} Format;

// format_pieces.c
void format_pieces(Format *f, const Node *root);
uint32_t format_gap(const Format *f, uint32_t i); // blanks between a piece and the one before it
uint32_t format_line_first(const Format *f, uint32_t i);
uint32_t format_line_end(const Format *f, uint32_t i); // the piece after the line's last
// format_align.c: gives every piece its column.
void format_columns(Format *f);
// Of a line's first piece; aligned: as the author aligned it, if so.
uint32_t format_indentation(const Format *f, uint32_t i, bool aligned);
// format_break.c: makes pieces `first` where lines are too wide, and says in which column.
void format_break(Format *f);

#endif
