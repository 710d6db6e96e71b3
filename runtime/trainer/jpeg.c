// JPEG pictures as bytes. The only file that uses libjpeg; it is linked into programs that read
// pictures (picture.c asks whether it is there).
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

typedef struct {
  struct jpeg_error_mgr base; // first: libjpeg gives it back by this address
  jmp_buf leave;
  char message[JMSG_LENGTH_MAX];
  bool damaged;
} Errors;

static void on_error(j_common_ptr jpeg) {
  Errors *errors = (Errors *)(void *)jpeg->err;
  errors->base.format_message(jpeg, errors->message);
  longjmp(errors->leave, 1);
}

// libjpeg goes on after damage, with grey in the place of what it can't read; we don't.
static void on_message(j_common_ptr jpeg, int level) {
  Errors *errors = (Errors *)(void *)jpeg->err;
  int code = errors->base.msg_code;
  if (level >= 0 || code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || errors->damaged)
    return;
  errors->damaged = true;
  errors->base.format_message(jpeg, errors->message);
}

static bool start(struct jpeg_decompress_struct *jpeg, const char *path, const Bytes *file,
                  uint32_t channels, Picture *picture, Failure *failure) {
  jpeg_mem_src(jpeg, file->at, file->size);
  jpeg_read_header(jpeg, TRUE);
  if (!picture_size_allowed(path, jpeg->image_height, jpeg->image_width, failure))
    return false;
  if (!channels)
    channels = jpeg->num_components == 1 ? 1 : 3;
  // Four inks aren't converted by libjpeg itself.
  if (jpeg->num_components == 4)
    return failf(failure, "%s: the JPEG has 4 inks (CMYK), expected colour or grey", path);
  jpeg->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(jpeg);
  *picture =
      (Picture){NULL, jpeg->output_height, jpeg->output_width, (uint32_t)jpeg->output_components};
  size_t size = (size_t)picture->height * picture->width * picture->channels;
  picture->at = malloc(size + 1);
  return picture->at || failf(failure, "%s: not enough memory for %zu bytes", path, size);
}

bool jpeg_read(const char *path, const Bytes *file, uint32_t channels, Picture *picture,
               Failure *failure) {
  struct jpeg_decompress_struct jpeg;
  Errors errors = {.damaged = false};
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = on_error;
  errors.base.emit_message = on_message;
  *picture = (Picture){0};
  if (setjmp(errors.leave)) {
    free(picture->at);
    *picture = (Picture){0};
    jpeg_destroy_decompress(&jpeg);
    return failf(failure, "%s: the JPEG is damaged: %s", path, errors.message);
  }
  jpeg_create_decompress(&jpeg);
  bool good = start(&jpeg, path, file, channels, picture, failure);
  size_t stride = (size_t)picture->width * picture->channels;
  while (good && jpeg.output_scanline < jpeg.output_height) {
    uint8_t *row = picture->at + stride * jpeg.output_scanline;
    jpeg_read_scanlines(&jpeg, &row, 1);
    if (errors.damaged)
      good = failf(failure, "%s: the JPEG is damaged: %s", path, errors.message);
  }
  jpeg_destroy_decompress(&jpeg);
  if (!good) {
    free(picture->at);
    *picture = (Picture){0};
  }
  return good;
}
