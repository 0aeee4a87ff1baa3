/* Data sets of texts: character or word tokens of published files and of a user's own. dataset.level, l_max,
   min_freq, append_bos, append_eos, keep and max_vocab say how texts become tokens (texts.h). */
#ifndef EBB_HOST_DATA_CORPORA_H
#define EBB_HOST_DATA_CORPORA_H

#include <stdio.h>

#include "host/data/cache_key.h"
#include "host/data/texts.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Errors of all: NOT_FOUND (where the files come from), FORMAT (file, and line or byte), INVALID, IO, MEMORY.
 */

/* IMDB reviews, class 1 positive: the tree aclImdb/{train,test}/{neg,pos}/ID_RATING.txt in the folder (or the
   folder itself), else imdb_train.tsv and imdb_test.tsv with lines `label TAB ID_RATING TAB text`. Reviews
   are in the order neg, pos and by id. dataset.val_split 0: the test split, in another order, is the
   validation too, as published; else ceil(n val_split) reviews of a permutation (numpy's default_rng, seed
   dataset.seed) are set aside, as the published loader does. The vocabulary is that of all training reviews.
 */
EbbStatus ebb_imdb_load(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) EBB_MUST_CHECK;
/* What a cache of it depends on. */
EbbStatus ebb_imdb_sources(const EbbConfig *config, EbbCacheKey *key) EBB_MUST_CHECK;

/* AAN document retrieval: new_aan_pairs.{train,eval,test}.tsv in the folder or in tsv_data/ there, lines
   `label TAB id1 TAB id2 TAB text1 TAB text2` without quoting; label 0.0 or 1.0. Both texts are towers of one
   sample; every character of the training texts, as cut, is in the vocabulary. */
EbbStatus ebb_aan_load(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) EBB_MUST_CHECK;
/* What a cache of it depends on. */
EbbStatus ebb_aan_sources(const EbbConfig *config, EbbCacheKey *key) EBB_MUST_CHECK;

/* A user's texts. With dataset.file: next-character windows of dataset.window characters every
   dataset.stride, a label at every step; dataset.val_file and test_file, or the last dataset.val_split and
   dataset.test_split of the file. Without: a class a folder, FOLDER/{train,test}/CLASS/NAME.txt (and val/),
   or FOLDER/CLASS/NAME.txt, of which a permutation (torch's, seed dataset.seed) sets int(n val_split) and
   int(n test_split) texts aside. */
EbbStatus ebb_text_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;

/* The lines of an open file into a split. */
EbbStatus ebb_imdb_read(EbbTexts *texts, EbbSplit split, FILE *file, const char *origin) EBB_MUST_CHECK;
EbbStatus ebb_aan_read(EbbTexts *texts, EbbSplit split, FILE *file, const char *origin) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
