/* Texts as sequences of tokens with a vocabulary of the training texts: the steps that text data sets share.
   A vocabulary has <pad> 0, <unk> 1, <bos> and <eos> where they are added, then tokens by falling count, ties
   by string. */
#ifndef EBB_HOST_DATA_TEXTS_H
#define EBB_HOST_DATA_TEXTS_H

#include "ebb/loading.h"
#include "host/data/token_column.h"
#include "host/data/utf8.h"
#include "host/data/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Characters are code points. Words are what stands between blanks and punctuation, in lower case (letters
   of ASCII), as Keras' text_to_word_sequence makes them. */
typedef struct EbbTextRules {
  bool words;
  int64_t l_max; /* longest sequence, added tokens included; 0: any */
  bool append_bos, append_eos;
  bool keep_last;    /* a longer text loses its beginning instead of its end */
  int64_t min_freq;  /* tokens of the training texts, as cut, that are rarer become <unk>; at least 1 */
  int64_t max_vocab; /* and so do those behind the most frequent ones; specials count; 0: no bound */
} EbbTextRules;

/* From the keys dataset.level, l_max, append_bos, append_eos, keep, min_freq and max_vocab. */
EbbTextRules ebb_text_rules(const EbbConfig *config);

enum { EBB_TEXT_PAGES = EBB_CODE_POINTS / 256 };

typedef struct EbbTexts {
  EbbTextRules rules;
  EbbDataset *dataset; /* borrowed */
  EbbVocabulary vocabulary;
  int32_t *page[EBB_TEXT_PAGES]; /* (256) token of each character, 0: not seen; NULL: none of them seen */
  int32_t bos, eos;              /* tokens, -1: not added */
  int64_t most;                  /* tokens of a text that fit beside those two */
  const EbbLoading *loading;     /* told of progress; NULL: nobody is */
  char *word;                    /* scratch */
  size_t word_capacity;
  struct {
    EbbTokenColumn tokens;
    int64_t n_sequences, sequence_capacity, sample_capacity;
  } split[EBB_SPLITS];
} EbbTexts;

/* Where a text stands, for errors: "FILE:LINE", or FILE alone where line is 0. */
typedef struct EbbTextOrigin {
  const char *file;
  int64_t line;
} EbbTextOrigin;

/* A dataset without samples, whose n_towers is set. Lifetime: the dataset's, or until release. Errors:
   INVALID (l_max too small), MEMORY. */
EbbStatus ebb_texts_begin(EbbTexts *texts, const EbbTextRules *rules, EbbDataset *dataset) EBB_MUST_CHECK;
/* One sequence more for a split; training texts are counted. Errors: FORMAT (UTF-8, with the offset; an empty
   text where nothing is added), MEMORY. */
EbbStatus ebb_texts_add(EbbTexts *texts, EbbSplit split, const char *text, size_t length,
                        EbbTextOrigin origin) EBB_MUST_CHECK;
/* The label of the sample whose n_towers sequences were added last. Errors: MEMORY. */
EbbStatus ebb_texts_label(EbbTexts *texts, EbbSplit split, int32_t label) EBB_MUST_CHECK;
/* Gives the tokens their ids and the dataset its vocabulary, longest sequence and texts of tokens; no text
   may follow. Errors: MEMORY. */
EbbStatus ebb_texts_finish(EbbTexts *texts) EBB_MUST_CHECK;
void ebb_texts_release(EbbTexts *texts);

/* Runs load on an empty data set and hands that over, or frees everything. */
typedef EbbStatus (*EbbTextsLoad)(const EbbConfig *config, const EbbLoading *loading, EbbTexts *texts,
                                  EbbDataset *dataset);
EbbStatus ebb_texts_build(const EbbConfig *config, const EbbLoading *loading, EbbTextsLoad load,
                          EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
