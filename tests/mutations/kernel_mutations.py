#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The mutations of the kernels, and for each the smallest suite that should notice it. Run, it checks that every mutation still
names a place in the kernels."""
import pathlib
import re
import sys
from typing import NamedTuple

KERNELS = pathlib.Path(__file__).resolve().parents[2] / "cl_kernels"

SIMT = "simt schedule={} fusion={} wg=64 tile_kv=8 vec=4 stages=1"
CPU = "cpu schedule={} fusion={} wg=1 tile_kv=16 vec=8 stages=1"
# 2 sub-groups share rows, each with a part of the 3 heads; 8 lanes to a row of 8 pieces.
SUBGROUP = "subgroup schedule={} fusion={} wg=64 tile_kv=16 vec=4 stages=2 heads=2 sub_group_size=8"
ROUTED = "f32 hq=6 hkv=2 d=32 b=3 kv=200 route={} near={} | {} @ lens=200,57,16 seed=3 data=sink tau={}"
DENSE = "f32 hq=6 hkv=2 d=32 b=3 kv=200 {}| {} @ lens=200,57,16 seed=3 data={} {}"
# More groups than work-items, so that they work out token ranges for each other.
RACES_OF_MANY = "f32 hq=33 hkv=33 d=32 b=1 kv=8 route=mean | simt schedule=worklist fusion=prologue wg=32 tile_kv=8 vec=4 stages=1 @ lens=8 seed=3 data=random"
RACES = "f32 hq=2 hkv=1 d=32 b=3 kv=40 route=mean near=1,8 | {} | workers_per_cu=3 min_tiles=1 @ lens=40,25,0 seed=3 data=random tau=2"


def both_schedules(text, variant, fusion):
    # A static schedule without routing has nothing that a prologue could do.
    schedules = ("worklist",) if fusion == "prologue" and "route=" not in text else ("worklist", "static")
    return tuple(text.replace("{VARIANT}", variant.format(schedule, fusion)) for schedule in schedules)


def dense(variant, keep="", data="random", more="", fusion="none"):
    return both_schedules(DENSE.format(keep, "{VARIANT}", data, more), variant, fusion)


def routed(variant, policy, tau="0.4", near="1,16", fusion="none"):
    return both_schedules(ROUTED.format(policy, near, "{VARIANT}", tau), variant, fusion)


# One group with more partials than are merged at once.
def many_partials(fusion):
    problem = "f32 hq=8 hkv=1 d=32 b=1 kv=2000 | {} | workers_per_cu=60 min_tiles=1 @ lens=2000 seed=3 data=random scale=4"
    return both_schedules(problem.replace("{}", "{VARIANT}"), CPU, fusion)


# Logits far apart and growing: maxima move all the time.
STEEP = {"more": "scale=4"}
WINDOW = "keep=0,37 "
SINKS = "keep=4,37 "


# More groups than a prologue routes.
BEHIND_ROUTE = "f32 hq=33 hkv=33 d=32 b=2 kv=40 route=mean near=1,8 | " + SIMT.format("worklist", "single") + " @ lens=40,25 seed=3 data=sink tau=0.4"
# So many groups that are cut in two that their workers never arrive in order.
CROWD = "f32 hq=12 hkv=12 d=32 b=3 kv=200 | {} | workers_per_cu=36 min_tiles=1 @ lens=200,200,200 seed=3 data=random"


class Mutation(NamedTuple):
    name: str
    file: str
    text: str
    replacement: str
    cases: tuple  # arguments of the program
    races: bool = False
    program: str = "check_cases"


def barrier(name, file, text, case=None):
    """`text` is a line with the barrier to drop, or what stands before it."""
    return Mutation(f"no barrier {name}", file, text, re.sub(r"\w*barrier\(\w+\)", "(void)0", text),
                    (case or RACES.format(SIMT.format("worklist", "none")),), races=True)


def short_addresses(name, file, text, replacement=None):
    """`text`, a part of an address, in 32 bits. No case has the memory to notice, so a test only points there."""
    return Mutation(f"32 bits of {name}", file, text, replacement or f"(int)({text})", ("--gtest_filter=RowAddresses.*",),
                    program="device_addressing")


FENCE = "    barrier(CLK_LOCAL_MEM_FENCE);\n"
GROUP_FENCE = "    group_barrier(CLK_LOCAL_MEM_FENCE);\n"
MUTATIONS = [
    # dropped barriers, in oclgrind; not of fusion=single, as oclgrind is an OpenCL 1.2 device and has no fence between
    # work-groups
    barrier("before the tile of K is read (simt)", "engines/simt.clh", FENCE + "    UNROLL for (int i = 0; i < ROW_STEPS; ++i) {\n"),
    barrier("before the scores are read (simt)", "engines/simt.clh", "    score_tile(e);\n" + FENCE),
    barrier("before the weights are read (simt)", "engines/simt.clh", "    soften_tile(e, min(TILE_KV, stop - token));\n" + FENCE),
    barrier("before the rows' states are read (simt)", "engines/simt.clh",
            "  barrier(CLK_LOCAL_MEM_FENCE);  // row states are there; the head before has been read\n"),
    barrier("before the merged rows are read (simt)", "engines/simt.clh", "  barrier(CLK_LOCAL_MEM_FENCE);\n  e->merged_m = m;\n"),
    barrier("before the sums are finished (route)", "routing.clh",
            "  group_barrier(CLK_LOCAL_MEM_FENCE);\n}\n// Each head's sums"),
    barrier("before the decision (route)", "route.cl", "  group_barrier(CLK_LOCAL_MEM_FENCE);\n  if (decides)"),
    barrier("before the scan (schedule)", "work_list.clh", "  sums[lid] = sum;\n  group_barrier(CLK_LOCAL_MEM_FENCE);\n"),
    barrier("inside the scan (schedule)", "work_list.clh", GROUP_FENCE + "    sums[lid] += before;\n"),
    barrier("before the lanes are merged (combine)", "merge.clh", GROUP_FENCE + "    if (takes_part && lane == 0) {\n"),
    barrier("before the sums are finished (prologue)", "routing.clh",
            "  group_barrier(CLK_LOCAL_MEM_FENCE);\n}\n// Each head's sums", RACES.format(SIMT.format("static", "prologue"))),
    barrier("before the decision (prologue)", "prologue.clh", GROUP_FENCE + "    if (decider < groups) {\n",
            RACES.format(SIMT.format("static", "prologue"))),
    barrier("before the token ranges are read (prologue)", "prologue.clh", GROUP_FENCE + "  }\n}\n",
            RACES.format(SIMT.format("static", "prologue"))),
    barrier("before the worker's place is read (prologue)", "work_list.clh",
            "  }\n" + GROUP_FENCE[2:] + "}\n#else\n// The same by bisection", RACES.format(SIMT.format("worklist", "prologue"))),
    barrier("before the next groups are scored (prologue)", "prologue.clh", GROUP_FENCE + "  }\n}\n", RACES_OF_MANY),

    # the rescaling of what was accumulated
    Mutation("accumulator not rescaled (simt)", "engines/simt.clh", "e->acc[j] *= e->rescale[row * GROUP_SIZE + j];",
             "(void)0;", dense(SIMT, **STEEP)),
    Mutation("sum not rescaled (simt)", "engines/simt.clh", "e->l[n] *= rescale;", "", dense(SIMT, **STEEP)),
    Mutation("rows merged without rescaling (simt)", "engines/simt.clh", "store_floats(as_floats(bits) * rescale, 0, e->rows",
             "store_floats(as_floats(bits), 0, e->rows", dense(SIMT, **STEEP)),
    Mutation("accumulator not rescaled (cpu)", "engines/cpu.clh", "e->acc[j][d] *= rescale;", "(void)0;", dense(CPU, **STEEP)),
    Mutation("sum not rescaled (cpu)", "engines/cpu.clh", "e->l[j] *= rescale;", "(void)0;", dense(CPU, **STEEP)),
    Mutation("partials merged without rescaling (combine)", "merge.clh", "ml[n].y > 0.0f ? exp2_nonpositive(ml[n].x - m) : 0.0f;",
             "ml[n].y > 0.0f ? 1.0f : 0.0f;", dense(CPU) + dense(SIMT)),
    Mutation("accumulators of earlier partials not rescaled (combine)", "merge.clh", "acc[q] *= rescale;", "(void)0;",
             many_partials("none")),
    Mutation("sums of earlier partials not rescaled (single)", "merge.clh", "l *= rescale;", "", many_partials("single")),
    Mutation("a lane's accumulators lost (single)", "merge.clh", "if (n < lanes) sum = fma(", "if (!n) sum = fma(",
             dense(SIMT, fusion="single")),
    Mutation("lanes merged without rescaling (single)", "merge.clh", "n < lanes ? exp2_nonpositive(lane_ml[lid + n * span].x - merged_m) : 0.0f;",
             "n < lanes ? 1.0f : 0.0f;", dense(SIMT, fusion="single", **STEEP)),

    Mutation("accumulator not rescaled (subgroup)", "engines/subgroup.clh", "e->acc[i][p] *= rescale;", "(void)0;",
             dense(SUBGROUP, **STEEP)),
    Mutation("sum not rescaled (subgroup)", "engines/subgroup.clh", "e->l[i] *= rescale;", "", dense(SUBGROUP, **STEEP)),
    Mutation("rows merged without rescaling (subgroup)", "engines/subgroup.clh", "store_floats(acc * rescale,",
             "store_floats(acc,", dense(SUBGROUP, **STEEP)),
    Mutation("half of a row's lanes not added (subgroup)", "portability.clh", "mask < lanes; mask <<= 1", "2 * mask < lanes; mask <<= 1",
             dense(SUBGROUP)),

    # token sets
    Mutation("keep_last ignored (simt)", "token_set.clh", "r.last_begin = keep_last < kv_len ? kv_len - keep_last : 0;",
             "r.last_begin = 0;", dense(SIMT, WINDOW)),
    Mutation("keep_last ignored (cpu)", "token_set.clh", "r.last_begin = keep_last < kv_len ? kv_len - keep_last : 0;",
             "r.last_begin = 0;", dense(CPU, WINDOW)),
    Mutation("keep_first one short", "token_set.clh", "min(keep_first, kv_len - r.first_begin)",
             "min(keep_first - 1, kv_len - r.first_begin)", dense(CPU, SINKS)),

    # bounds of tiles
    Mutation("a segment's last token lost", "token_set.clh", "(count - 1) * stride, tile_kv) + tile_kv);",
             "(count - 1) * stride, tile_kv) + tile_kv - 1);", dense(CPU)),
    Mutation("one token too many (simt)", "engines/simt.clh", "token < num_tokens ? s[i]", "token <= num_tokens ? s[i]",
             dense(SIMT)),
    Mutation("one token too many (cpu)", "engines/cpu.clh", "for (int i = stop - token; i < TILE_KV; ++i)",
             "for (int i = stop - token + 1; i < TILE_KV; ++i)", dense(CPU)),
    Mutation("one token too many (subgroup)", "engines/subgroup.clh", "e->row + t * ROWS < num_tokens", "e->row + t * ROWS <= num_tokens",
             dense(SUBGROUP)),
    Mutation("a turn's places for the next one's values (subgroup)", "engines/subgroup.clh",
             "find_rows(e, &r, cache, next, run.stop, status);", "(void)0;", dense(SUBGROUP)),
    Mutation("one value too few (cpu)", "engines/cpu.clh", "for (int i = 0; i < TILE_KV; ++i) {\n        const __global char *line",
             "for (int i = 0; i < TILE_KV - 1; ++i) {\n        const __global char *line", dense(CPU)),
    Mutation("the last, partial tile lost", "token_set.clh", "CEIL_DIV(r.kv_len - t.origin, tile_kv) : 0;",
             "(r.kv_len - t.origin) / tile_kv : 0;", dense(CPU)),
    Mutation("a share's last tile lost", "share.clh", "share_begin(tiles.count, splits, split + 1) - tile, 1);",
             "share_begin(tiles.count, splits, split + 1) - tile - 1, 1);", dense(CPU)),

    # heads of the group
    Mutation("output to the wrong head (decode)", "decode.cl", "out_row(args, out, sequence, q_head + j) + 4 * quad",
             "out_row(args, out, sequence, q_head + GROUP_SIZE - 1 - j) + 4 * quad", dense(CPU) + dense(SIMT)),
    Mutation("partial of the wrong head (decode)", "partials.clh",
             "const long row = (long)slot * GROUP_SIZE + head;\n  ((", "const long row = (long)slot * GROUP_SIZE + GROUP_SIZE - 1 - head;\n  ((", dense(CPU)),
    Mutation("query of the wrong head (simt)", "engines/simt.clh", "vstore8(load_q8(q + j * q_head_stride + d)",
             "vstore8(load_q8(q + (GROUP_SIZE - 1 - j) * q_head_stride + d)", dense(SIMT)),
    Mutation("query of the wrong head (cpu)", "engines/cpu.clh", "vstore8(load_q8(q + j * q_head_stride + d)",
             "vstore8(load_q8(q + (GROUP_SIZE - 1 - j) * q_head_stride + d)", dense(CPU)),
    Mutation("query of the wrong head (subgroup)", "engines/subgroup.clh", "min(head_at(e, i), GROUP_SIZE - 1)",
             "min(head_at(e, OWN_HEADS - 1 - i), GROUP_SIZE - 1)", dense(SUBGROUP)),
    Mutation("another split's accumulators (subgroup)", "engines/subgroup.clh", "(row * SPLIT + head % SPLIT) * HEAD_DIM + d",
             "row * SPLIT * HEAD_DIM + d", dense(SUBGROUP)),
    Mutation("output to the wrong head (combine)", "merge.clh", "out_row(args, out, sequence, q_head + head)",
             "out_row(args, out, sequence, q_head + GROUP_SIZE - 1 - head)", dense(CPU)),

    # 64-bit addresses
    short_addresses("a head's keys", "kv_layout.clh", "kv_head * args->k.head"),
    short_addresses("a head's values", "kv_layout.clh", "kv_head * args->v.head"),
    short_addresses("a sequence's keys", "kv_layout.clh", "block * args->k.block"),
    short_addresses("a sequence's values", "kv_layout.clh", "block * args->v.block"),
    short_addresses("a page's keys", "kv_layout.clh", "place.block * cache->k_block"),
    short_addresses("a page's values", "kv_layout.clh", "place.block * cache->v_block"),
    short_addresses("a token's key", "kv_layout.clh", "place.row * cache->k_token"),
    short_addresses("a token's value", "kv_layout.clh", "place.row * cache->v_token"),
    short_addresses("strides", "kv_layout.clh", "long k_token, v_token,", "int k_token, v_token; long"),
    short_addresses("a sequence's pages", "kv_layout.clh", "sequence * args->page_table_stride"),
    short_addresses("a head's output", "epilogue.clh", "q_head * args->out.head"),
    short_addresses("a sequence's outputs", "epilogue.clh", "sequence * args->out.block"),

    # routing
    Mutation("tau inverted (mean)", "routing.clh", "  return mean_score > tau;\n", "  return mean_score < tau;\n", routed(CPU, "mean")),
    Mutation("tau inverted (all)", "routing.clh", "return min_score > tau;", "return min_score < tau;", routed(SIMT, "all")),
    Mutation("floor inverted (hybrid)", "routing.clh", "min_score > args->floor_score", "min_score < args->floor_score",
             routed(CPU, "hybrid")),
    Mutation("surrogate ignored", "routing.clh", "const int routed = choice->may_route && passes;", "const int routed = 0;", routed(SIMT, "mean")),

    # stages that share a launch; all workspaces are poisoned beforehand
    Mutation("scores of another group (prologue)", "prologue.clh", "scores + decider * GROUP_SIZE * SCORE_FLOATS, reports", "scores, reports",
             routed(SIMT, "mean", fusion="prologue")),
    Mutation("token ranges of another group (prologue)", "share.clh", "in_prologue[WORKLIST ? group : 0]", "in_prologue[0]",
             routed(CPU, "mean", fusion="prologue")),
    Mutation("token ranges not left to combine (prologue)", "decode.cl",
             "ranges_in(&args, workspace)[worker] = prologue_ranges[0];", "(void)0;", routed(CPU, "mean", fusion="prologue")),
    Mutation("no statistics (prologue)", "decode.cl", "prologue_ranges, prologue_scores, reports);",
             "prologue_ranges, prologue_scores, 0);", routed(CPU, "mean", fusion="prologue")),
    Mutation("slots not left to combine (prologue)", "decode.cl", "write_slots(&source, &list);", "(void)0;",
             dense(CPU, fusion="prologue")),
    Mutation("slots of another group (prologue)", "work_list.clh", "int begin = list->begin;",
             "int begin = list->end;", dense(SIMT, fusion="prologue")),
    Mutation("groups before the worker's not counted (prologue)", "work_list.clh", "int begin = found.begin + groups_before * places;",
             "int begin = found.begin;", dense(SIMT, fusion="prologue")),
    Mutation("token ranges of another group (single behind route)", "share.clh", "ranges_in(source->args, source->workspace)[group]",
             "ranges_in(source->args, source->workspace)[0]", (BEHIND_ROUTE,)),
    Mutation("no route (single behind it)", "route.cl", "if (decides) ranges_in(", "if (decides && group == 0) ranges_in(",
             (BEHIND_ROUTE,)),
    Mutation("work list one tile short (prologue)", "work_list.clh", "(tiles_begin + tile), 0), 1);",
             "(tiles_begin + tile) - 1, 0), 1);",
             dense(CPU, fusion="prologue")),
    Mutation("slots of the wrong tiles (single)", "decode.cl", "list_begin += num_places(&args, tiles.count);", "list_begin += 1;",
             (CROWD.format(CPU.format("worklist", "single")),)),
    Mutation("nobody merges (single)", "merge.clh", "slots.count > 1 && part >= 0", "slots.count > 1 && part > 0",
             dense(SIMT, fusion="single")),
    Mutation("only the first half of a group is merged (single)", "merge.clh", "pieces * (part + 1) / mergers, out",
             "pieces * (part + 1) / mergers / 2, out", dense(CPU, fusion="single")),
    Mutation("channels mixed up (single)", "partials.clh", "publish_pair(pairs + QUADS, acc.hi,", "publish_pair(pairs + QUADS, acc.lo,",
             dense(SIMT, fusion="single")),
    Mutation("another head's maximum (single)", "partials.clh", "read_pair(pairs + 2 * QUADS, args->step_tag, ml)",
             "read_pair(pairs_in(args, workspace, slot, 0) + 2 * QUADS + piece * PIECE_QUADS, args->step_tag, ml)",
             dense(CPU, fusion="single", **STEEP)),
    Mutation("another worker's turn (static)", "share.clh", "make_share(group, split, CEIL_DIV(", "make_share(group, split + 1, CEIL_DIV(",
             dense(SIMT)),
    Mutation("another worker's turn (work list)", "work_list.clh", "- tiles_begin + worker - first_turn;",
             "- tiles_begin + worker - first_turn + 1;", dense(SIMT)),
    Mutation("beginning a group takes no place (work list)", "decode.cl", "WORKLIST ? places_before_group(&source, group, remaining) : 0", "0", dense(SIMT)),
    Mutation("groups without tiles not written (single)", "decode.cl", "store_out(0.0f, out_row(", "if (0) store_out(0.0f, out_row(",
             routed(CPU, "mean", tau="-2", near="0,0", fusion="single")),
    Mutation("lse of groups without tiles not written (single)", "decode.cl",
             "if (i % HEAD_DIM == 0) write_lse(&args, lse, sequence, q_head, NO_MAXIMUM, 0.0f);", "",
             routed(SIMT, "mean", tau="-2", near="0,0", fusion="single")),
]


def check_texts():
    """Every mutation names a place that exists once, or it would change nothing, or more than it says."""
    counts = {mutation: (KERNELS / mutation.file).read_text().count(mutation.text) for mutation in MUTATIONS}
    wrong = [f"'{m.name}': its text occurs {n} times in {m.file}, not once:\n{m.text}" for m, n in counts.items() if n != 1]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    check_texts()
    print(f"{len(MUTATIONS)} mutations name their places")
