"""llama.cpp's own server on a port of its own, for `make bench-peer`: prints a line of JSON with its address and its
settings, and ends with its standard input. Needs xllamacpp, which `tools/setup peer` puts into .tools/peer."""

import argparse
import json
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens of one slot")
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def main():
    asked = arguments()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = asked.model
    params.n_parallel = asked.slots
    params.n_ctx = asked.slots * asked.context
    params.cpuparams.n_threads = asked.threads
    params.cpuparams_batch.n_threads = asked.threads
    # What worker-gguf's `auto` comes to with weights that are not F32.
    params.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F16
    params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F16
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO
    params.n_gpu_layers = 0
    params.port = 0
    params.verbosity = 0
    begun = time.monotonic()
    server = xllamacpp.Server(params)
    load_ms = (time.monotonic() - begun) * 1e3
    settings = {
        "version": xllamacpp.__version__,
        "slots": params.n_parallel,
        "context_tokens": params.n_ctx // params.n_parallel,
        "threads": params.cpuparams.n_threads,
        "kv_type": "f16",
        "flash_attention": "auto",
        "batch_tokens": params.n_batch,
        "step_tokens": params.n_ubatch,
        "kept_prompts_mib": params.cache_ram_mib,
        "processor": xllamacpp.get_system_info().strip(),
    }
    print(json.dumps({"url": server.listening_address, "load_ms": load_ms, "settings": settings}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
