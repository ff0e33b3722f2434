#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutates copies of the kernels and shows that the smallest suite that should notice does.    mutations.py BUILD_DIR

Wrong numbers show on any device. A dropped barrier often does not (PoCL runs a work-group's items one after another), so
those run in oclgrind, which reports races."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ROOT / "cl_kernels"

SIMT = "simt schedule={} wg=64 tile_kv=8 vec=4"
CPU = "cpu schedule={} wg=1 tile_kv=16 vec=8"
ROUTED = "f32 hq=6 hkv=2 d=32 b=3 kv=200 route={} near=1,16 | {} @ lens=200,57,16 seed=3 data=sink tau={}"
DENSE = "f32 hq=6 hkv=2 d=32 b=3 kv=200 {}| {} @ lens=200,57,16 seed=3 data={} {}"
RACES = "f32 hq=2 hkv=1 d=32 b=3 kv=40 route=mean near=1,8 | {} | workers_per_cu=3 min_tiles=1 @ lens=40,25,0 seed=3 data=random tau=2"


def both_schedules(text, variant):
    return tuple(text.replace("{VARIANT}", variant.format(schedule)) for schedule in ("worklist", "static"))


def dense(variant, keep="", data="random", more=""):
    return both_schedules(DENSE.format(keep, "{VARIANT}", data, more), variant)


def routed(variant, policy, tau="0.4"):
    return both_schedules(ROUTED.format(policy, "{VARIANT}", tau), variant)


# Logits far apart and growing: maxima move all the time.
STEEP = {"more": "scale=4"}
WINDOW = "keep=0,37 "
SINKS = "keep=4,37 "


class Mutation(NamedTuple):
    name: str
    file: str
    text: str
    replacement: str
    cases: tuple  # arguments of the program
    races: bool = False
    program: str = "check_cases"


def barrier(name, file, text):
    """`text` is a line with the barrier to drop, or what stands before it."""
    return Mutation(f"no barrier {name}", file, text, text.replace("barrier(CLK_LOCAL_MEM_FENCE)", "(void)0"),
                    (RACES.format(SIMT.format("worklist")),), races=True)


def short_addresses(name, file, text, replacement=None):
    """`text`, a part of an address, in 32 bits. No case has the memory to notice, so a test only points there."""
    return Mutation(f"32 bits of {name}", file, text, replacement or f"(int)({text})", ("--gtest_filter=RowAddresses.*",),
                    program="device_addressing")


FENCE = "    barrier(CLK_LOCAL_MEM_FENCE);\n"
MUTATIONS = [
    # dropped barriers, in oclgrind
    barrier("before the tile of K is read (simt)", "engines/simt.clh", FENCE + "    UNROLL for (int i = 0; i < ROW_STEPS; ++i) {\n"),
    barrier("before the scores are read (simt)", "engines/simt.clh", "    score_tile(e);\n" + FENCE),
    barrier("before the weights are read (simt)", "engines/simt.clh", "    soften_tile(e, min(TILE_KV, stop - token));\n" + FENCE),
    barrier("before the rows' states are read (simt)", "engines/simt.clh",
            "  barrier(CLK_LOCAL_MEM_FENCE);  // row states are there; the head before has been read\n"),
    barrier("before the merged rows are read (simt)", "engines/simt.clh",
            "  barrier(CLK_LOCAL_MEM_FENCE);\n  return (float2)(m, l);\n"),
    barrier("before the decision (route)", "route.cl", "  barrier(CLK_LOCAL_MEM_FENCE);\n  if (lid != 0 || !inside) return;\n"),
    barrier("inside the scan (schedule)", "schedule.cl", FENCE + "    sums[lid] += before;\n"),
    barrier("before the lanes are merged (combine)", "combine.cl", "  barrier(CLK_LOCAL_MEM_FENCE);\n  m = NO_MAXIMUM;\n"),

    # the rescaling of what was accumulated
    Mutation("accumulator not rescaled (simt)", "engines/simt.clh", "e->acc[j] *= e->rescale[row * GROUP_SIZE + j];",
             "(void)0;", dense(SIMT, **STEEP)),
    Mutation("sum not rescaled (simt)", "engines/simt.clh", "e->l[n] *= rescale;", "", dense(SIMT, **STEEP)),
    Mutation("rows merged without rescaling (simt)", "engines/simt.clh", "store_floats(acc * rescale, 0, e->rows",
             "store_floats(acc, 0, e->rows", dense(SIMT, **STEEP)),
    Mutation("accumulator not rescaled (cpu)", "engines/cpu.clh", "e->acc[j][d] *= rescale;", "(void)0;", dense(CPU, **STEEP)),
    Mutation("sum not rescaled (cpu)", "engines/cpu.clh", "e->l[j] *= rescale;", "(void)0;", dense(CPU, **STEEP)),
    Mutation("partials merged without rescaling (combine)", "combine.cl", "weight = ml.y > 0.0f ? exp2_nonpositive(ml.x - new_m) : 0.0f;",
             "weight = 1.0f;", dense(CPU) + dense(SIMT)),

    # token sets
    Mutation("keep_last ignored (simt)", "token_set.clh", "r.last_begin = keep_last < kv_len ? kv_len - keep_last : 0;",
             "r.last_begin = 0;", dense(SIMT, WINDOW)),
    Mutation("keep_last ignored (cpu)", "token_set.clh", "r.last_begin = keep_last < kv_len ? kv_len - keep_last : 0;",
             "r.last_begin = 0;", dense(CPU, WINDOW)),
    Mutation("keep_first one short", "token_set.clh", "min(keep_first, kv_len - r.first_begin)",
             "min(keep_first - 1, kv_len - r.first_begin)", dense(CPU, SINKS)),

    # bounds of tiles
    Mutation("a segment's last token lost", "token_set.clh", "(tile_at(t, end - 1) + 1) * tile_kv;",
             "(tile_at(t, end - 1) + 1) * tile_kv - 1;", dense(CPU)),
    Mutation("one token too many (simt)", "engines/simt.clh", "token < num_tokens ? s[i]", "token <= num_tokens ? s[i]",
             dense(SIMT)),
    Mutation("one token too many (cpu)", "engines/cpu.clh", "for (int i = stop - token; i < TILE_KV; ++i)",
             "for (int i = stop - token + 1; i < TILE_KV; ++i)", dense(CPU)),
    Mutation("one value too few (cpu)", "engines/cpu.clh", "for (int i = 0; i < TILE_KV; ++i) {\n        const __global char *line",
             "for (int i = 0; i < TILE_KV - 1; ++i) {\n        const __global char *line", dense(CPU)),
    Mutation("the last, partial tile lost", "token_set.clh", "const int last_stop = CEIL_DIV(r.kv_len, tile_kv);",
             "const int last_stop = r.kv_len / tile_kv;", dense(CPU)),
    Mutation("a share begins one tile late", "share.clh", "return quotient * index + remainder * (uint)index / (uint)num_sharers;",
             "return min(quotient * index + remainder * (uint)index / (uint)num_sharers + (index > 0), count);", dense(CPU)),

    # heads of the group
    Mutation("output to the wrong head (decode)", "decode.cl", "const int q_head = kv_head * GROUP_SIZE + j;",
             "const int q_head = kv_head * GROUP_SIZE + GROUP_SIZE - 1 - j;", dense(CPU) + dense(SIMT)),
    Mutation("query of the wrong head (simt)", "engines/simt.clh", "vstore8(load_q8(q + j * q_head_stride + d)",
             "vstore8(load_q8(q + (GROUP_SIZE - 1 - j) * q_head_stride + d)", dense(SIMT)),
    Mutation("query of the wrong head (cpu)", "engines/cpu.clh", "vstore8(load_q8(q + j * q_head_stride + d)",
             "vstore8(load_q8(q + (GROUP_SIZE - 1 - j) * q_head_stride + d)", dense(CPU)),
    Mutation("output to the wrong head (combine)", "combine.cl", "q_head = group % args.num_kv_heads * GROUP_SIZE + j;",
             "q_head = group % args.num_kv_heads * GROUP_SIZE + GROUP_SIZE - 1 - j;", dense(CPU)),

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
    Mutation("tau inverted (mean)", "route.cl", "  return mean_score > tau;\n", "  return mean_score < tau;\n", routed(CPU, "mean")),
    Mutation("tau inverted (all)", "route.cl", "return min_score > tau;", "return min_score < tau;", routed(SIMT, "all")),
    Mutation("floor inverted (hybrid)", "route.cl", "min_score > args->floor_score", "min_score < args->floor_score",
             routed(CPU, "hybrid")),
    Mutation("surrogate ignored", "route.cl", "if (routed) ranges = near;", "", routed(SIMT, "mean")),
]


LIMIT_SECONDS = 45  # a broken kernel may never end


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def run_program(command, cache):
    """Exit code and output; a program that does not end has failed."""
    # Its own process group: oclgrind is a script around the program.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                               env={**os.environ, "POCL_CACHE_DIR": str(cache)})
    try:
        output = process.communicate(timeout=LIMIT_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return 1, process.communicate()[0] + f"did not end within {LIMIT_SECONDS} s"
    return process.returncode, output


class Laboratory:
    """A build of the library whose kernels are a copy that may be broken."""

    def __init__(self, work):
        self.work, self.kernels, self.build = work, work / "kernels", work / "build"
        shutil.rmtree(self.kernels, ignore_errors=True)
        # Files of now: with their old times a mutation that the last run left in the build would stay there.
        shutil.copytree(KERNELS, self.kernels, copy_function=shutil.copy)
        launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        self.must(["cmake", "-S", ROOT, "-B", self.build, "-G", "Ninja", f"-DCLSINK_KERNEL_DIR={self.kernels}",
                   "-DCLSINK_BUILD_TOOL=OFF", "-DCLSINK_WITH_CLBLAST=OFF", *launcher])

    @staticmethod
    def must(command):
        done = run(command)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")

    def check(self, name, cases, races):
        """Whether all is well with the program of this name, and what was said."""
        self.must(["cmake", "--build", self.build, "--target", name])
        program = next(path for path in self.build.rglob(name) if path.is_file())
        cache = self.fresh_cache()
        if not races:
            code, output = run_program([program, *cases], cache)
            return code == 0, output
        log = self.work / "oclgrind.log"
        log.unlink(missing_ok=True)
        # Unoptimised: what LLVM's optimiser leaves behind (freeze, noalias scopes) oclgrind cannot interpret.
        code, output = run_program(["oclgrind", "--data-races", "--max-errors", "20", "--build-options", "-cl-opt-disable",
                                    "--log", log, program, *cases], cache)
        errors = log.read_text() if log.exists() else ""
        return code == 0 and not errors, output + errors  # oclgrind's own exit code says nothing

    def fresh_cache(self):
        cache = self.work / "pocl-cache"
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()
        return cache

    def caught(self, mutation):
        path = self.kernels / mutation.file
        original = path.read_text()
        path.write_text(original.replace(mutation.text, mutation.replacement))
        try:
            good, output = self.check(mutation.program, mutation.cases, mutation.races)
        finally:
            path.write_text(original)
        if "did not build" in output:
            sys.exit(f"'{mutation.name}' does not compile:\n{output}")
        return not good


def check_texts():
    """Every mutation names a place that exists once, or it would change nothing, or more than it says."""
    counts = {mutation: (KERNELS / mutation.file).read_text().count(mutation.text) for mutation in MUTATIONS}
    wrong = [f"'{m.name}': its text occurs {n} times in {m.file}, not once:\n{m.text}" for m, n in counts.items() if n != 1]
    if wrong:
        sys.exit("\n".join(wrong))


def main():
    check_texts()
    work = pathlib.Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    laboratory = Laboratory(work)
    for program, races in sorted({(mutation.program, mutation.races) for mutation in MUTATIONS}):
        cases = sorted({case for mutation in MUTATIONS if (mutation.program, mutation.races) == (program, races)
                        for case in mutation.cases})
        good, output = laboratory.check(program, cases, races)
        if not good:
            sys.exit(f"control: the unbroken kernels fail\n{output}")
        print(f"control: {program} passes{' without races' if races else ''} with {len(cases)} arguments")
    caught = 0
    for mutation in MUTATIONS:
        begin = time.monotonic()
        found = laboratory.caught(mutation)
        caught += found
        print(f"{'caught' if found else 'MISSED'}  {mutation.name}  ({time.monotonic() - begin:.1f} s)", flush=True)
    print(f"{caught} of {len(MUTATIONS)} caught")
    return 0 if caught == len(MUTATIONS) else 1


if __name__ == "__main__":
    sys.exit(main())
