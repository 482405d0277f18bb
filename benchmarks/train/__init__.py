"""What Ray Train costs and what a second worker brings: images a second beside the bare loop in one run.

    python -m benchmarks.train                   # on the CPU, about 35 minutes
    python -m benchmarks.train --bare-only       # its precisions and layouts alone, a few minutes
    python -m benchmarks.train --device cuda     # one GPU: also with torch.compile and channels_last

All variants have the options of ``params.yaml``. On the CPU all of them are started, and then take turns of
a few seconds while the others stand still, so that start-up is over and a machine whose speed wavers is the
same for all. Then they are started anew: a process keeps several percent of speed, more or less, for as long
as it lives. They are the bare loop (learner and batches, little written), with the precision and layout in
memory of the options and with each other one; Ray Train with one worker, with two that share each batch, and
with two that have a whole batch each; and what tells where a second worker's speed goes: two bare loops that
share each batch and exchange nothing, the same but waiting for each other after every step, and the
pipeline's two processes without Ray. On a GPU every round runs each variant once, from its start; its speed
is the median over its log's points, without those that the start still touches.
"""
