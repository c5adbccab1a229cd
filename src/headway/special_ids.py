"""The numbers of the special pieces, the same in every vocabulary."""

PAD_ID, BOS_ID, EOS_ID, UNK_ID = 0, 1, 2, 3
