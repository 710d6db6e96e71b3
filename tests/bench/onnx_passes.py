"""onnxruntime's side of the benchmark: median time of a forward pass, in milliseconds.

Usage: onnx_passes.py MODEL.onnx THREADS PASSES, by a Python that has onnxruntime. The best of what it offers: all graph
optimisations, spinning threads or not, input and output bound once.
"""
import sys
import time

import numpy as np
import onnxruntime as ort


def median_pass(path, threads, passes, spinning):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x, bound = session.get_inputs()[0], session.io_binding()
    bound.bind_cpu_input(x.name, np.random.rand(*x.shape).astype(np.float32))
    bound.bind_output(session.get_outputs()[0].name)
    times = []
    while len(times) < passes + 3 or sum(times) < 0.5: # a pool of threads takes a while to settle
        start = time.perf_counter()
        session.run_with_iobinding(bound)
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 2]


def main():
    path, threads, passes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(min(median_pass(path, threads, passes, spinning) for spinning in "10"))


if __name__ == "__main__":
    main()
