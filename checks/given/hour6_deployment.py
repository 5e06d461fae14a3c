"""What hour 6's answers are handed and looked into with: classifiers, folders, ONNX files, a server and its clients.

A folder or file that cannot be used is reported in words, in the place of what was to be found in it.
"""

import asyncio
import copy
import io
import json
import os
import re
import socket
import tempfile
import threading
import time
import warnings
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import torch

LABELS = {0: "bad", 1: "fair", 2: "good"}
POSITIONS = 40
_WORDS = ["good", "bad", "fine", "film", "plot", "was", "not", "a", "the", "very", "dull", "and"]


# ── classifiers ─────────────────────────────────────────────────────────────────────────────────────────────────


def classifier(checkpoint):
    """A trained classifier, ready for inference."""
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()


def tiny_classifier(seed, dim=32, training=False):
    """A DistilBERT of two layers and three labels, with weights drawn so that every text gets other logits."""
    return copy.deepcopy(_drawn(seed, dim)).train(training)


@cache
def _drawn(seed, dim):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    rng = np.random.default_rng(seed)
    config = DistilBertConfig(
        vocab_size=len(_vocabulary()),
        dim=dim,
        n_layers=2,
        n_heads=4,
        hidden_dim=4 * dim,
        max_position_embeddings=POSITIONS,
        seq_classif_dropout=0.5,
        id2label=LABELS,
        label2id={label: index for index, label in LABELS.items()},
    )
    model = DistilBertForSequenceClassification(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.3 if "norm" in name.lower() or name.endswith("bias") else 1.5 / dim**0.5
            drawn = rng.normal(size=parameter.shape) * spread + ("norm" in name.lower() and name.endswith("weight"))
            parameter.copy_(torch.from_numpy(drawn))
        said = model.eval()(**tiny_batch(seed, rows=50)).logits
        scale = 2 / said.std(dim=0)  # so that every label has its texts, and none is sure of itself
        model.classifier.weight *= scale[:, None]
        model.classifier.bias.copy_((model.classifier.bias - said.mean(dim=0)) * scale)
    return model


def tiny_checkpoint(seed):
    """A folder with such a classifier and its tokenizer."""
    return folder_with(_saved(seed))


@cache
def _saved(seed):
    from transformers import DistilBertTokenizerFast

    with tempfile.TemporaryDirectory() as place:
        vocabulary = os.path.join(place, "vocab.txt")
        Path(vocabulary).write_text("\n".join(_vocabulary()), encoding="utf-8")
        DistilBertTokenizerFast(vocabulary, model_max_length=POSITIONS).save_pretrained(place)
        tiny_classifier(seed).save_pretrained(place)
        return files_in(place)


def _vocabulary():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), *_WORDS[:7], "the"]


def tiny_batch(seed, rows=3, tokens=12):
    """Token ids and attention mask, rows of different lengths, for a tiny classifier."""
    rng = np.random.default_rng(seed)
    ids = torch.from_numpy(rng.integers(5, len(_vocabulary()), size=(rows, tokens)))
    lengths = torch.from_numpy(rng.permutation(np.linspace(min(4, tokens), tokens, rows).astype(int)))
    mask = (torch.arange(tokens) < lengths[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


def logits(model, batch):
    """What a classifier says, in float32."""
    _a_model(model)
    with torch.no_grad():
        return model(**batch).logits.float()


def float_layers(model):
    """The names of a model's linear layers whose weights are still floating point."""
    _a_model(model)
    layers = [(name, m.weight) for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    plain = (torch.Tensor, torch.nn.Parameter)  # and no subclass, which may keep its numbers in int8
    return [name for name, weight in layers if type(weight) in plain and weight.is_floating_point()]


def float_embeddings(model):
    """The names of a model's embeddings that are `nn.Embedding` still."""
    _a_model(model)
    return [name for name, module in model.named_modules() if type(module) is torch.nn.Embedding]


def mode_of(model):
    """`training` if a model or any of its dropout is in training mode, else `evaluation`."""
    _a_model(model)
    matters = [model, *(module for module in model.modules() if isinstance(module, torch.nn.Dropout))]
    return "training" if any(module.training for module in matters) else "evaluation"


def inside_of(model):
    """A model's layers by kind, its mode, and its parameters: all that may not change."""
    layers = {name: type(module).__name__ for name, module in model.named_modules()}
    parameters = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    return {"layers": layers, "training": model.training, "parameters": parameters}


def inside_after(function, model, *arguments):
    """The same, once the answer has been called with the model."""
    function(model, *arguments)
    return inside_of(model)


def size_of(model):
    """Bytes of a model's saved weights."""
    _a_model(model)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.tell()


def speedups(quick, slow, batch, pairs):
    """How many times the time of `quick` each time `slow` takes for a batch, on one thread, in interleaved pairs."""
    _a_model(quick)
    return _in_pairs(lambda: logits(quick, batch), lambda: logits(slow, batch), pairs)


def _in_pairs(quick, slow, pairs):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        quick(), slow()  # page faults and lazy packing are not counted
        ratios = []
        for index in range(pairs):
            seconds = {}
            for run in (quick, slow) if index % 2 else (slow, quick):
                began = time.perf_counter()
                run()
                seconds[run] = time.perf_counter() - began
            ratios.append(seconds[slow] / seconds[quick])
        return ratios
    finally:
        torch.set_num_threads(threads)


def _a_model(model):
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"a model was asked for, not a {type(model).__name__}")


def dtypes_inside(function, model, batch):
    """The dtypes of what linear layers and norms give while the answer predicts with a model, and of the result."""
    seen = {}

    def watch(module, arguments, output):
        kind = type(module).__name__
        if kind in ("Linear", "LayerNorm"):
            seen.setdefault(kind, set()).add(str(output.dtype).removeprefix("torch."))

    handles = [module.register_forward_hook(watch) for module in model.modules()]
    try:
        result = function(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(result, torch.Tensor):
        return f"a {type(result).__name__} instead of a tensor"
    seen["result"] = {str(result.dtype).removeprefix("torch.")}
    return {kind: sorted(dtypes) for kind, dtypes in sorted(seen.items())}


def wants_gradient(function, model, batch):
    """Whether what the answer predicts could be differentiated, weights and all."""
    return bool(function(model, batch).requires_grad)


def gradient_of(function, student, teacher, labels, temperature, alpha):
    """The gradient of the answer's loss with respect to the student's logits."""
    student = student.detach().clone().requires_grad_()
    loss = function(student, teacher, labels, temperature, alpha)
    if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        return "no gradient flows to the student"
    loss.backward()
    return student.grad


# ── folders and ONNX files ──────────────────────────────────────────────────────────────────────────────────────


def folder():
    """An empty folder."""
    return tempfile.mkdtemp()


def folder_with(files):
    """A folder with these files in it: name → bytes."""
    place = tempfile.mkdtemp()
    for name, content in files.items():
        Path(place, name).write_bytes(content)
    return place


def files_in(place):
    """The files of a folder, name → bytes; in words what is wrong when it holds anything else."""
    files = {}
    for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
        if entry.is_symlink() or not entry.is_file(follow_symlinks=False):
            return f"{entry.name!r} in the folder is no ordinary file"
        if not re.fullmatch(r"\w[\w.-]{0,99}", entry.name):
            return f"a file is called {entry.name!r}"
        if sum(map(len, files.values())) + entry.stat().st_size > 200 << 20:
            return "more than 200 MiB of files"
        files[entry.name] = Path(entry.path).read_bytes()
    return files


def names_in(place):
    """The names of the files in a folder that ONNX Runtime and Transformers look for."""
    return sorted(e.name for e in os.scandir(place) if e.name.endswith((".onnx", "config.json")) or e.is_dir())


def onnx_logits(place, batches):
    """What the ONNX model in a folder says to each batch; or, in words, why it says nothing."""
    try:
        session = _session(place)
    except Exception as error:
        return [_in_words(error)] * len(batches)
    said = []
    for batch in batches:
        try:
            said.append(_run(session, batch))
        except Exception as error:
            said.append(_in_words(error))
    return said


def onnx_interface(place):
    """Names of an ONNX model's inputs and outputs, each with its dtype and number of axes."""
    try:
        session = _session(place)
    except Exception as error:
        return _in_words(error)
    return {
        "inputs": {i.name: f"{i.type}, {len(i.shape)} axes" for i in session.get_inputs()},
        "outputs": {o.name: f"{o.type}, {len(o.shape)} axes" for o in session.get_outputs()},
    }


def onnx_weights(place):
    """How many matrices an ONNX model keeps in 8 bits, and how many in floats: of linear layers, of embeddings."""
    try:
        import onnx

        graph = onnx.load(_model_file(place), load_external_data=False).graph
    except Exception as error:
        return _in_words(error)
    read = {node.input[0] for node in graph.node if node.op_type == "Gather"}  # what is looked up, not multiplied
    found = dict.fromkeys(("linear, 8 bits", "linear, float", "embeddings, 8 bits", "embeddings, float"), 0)
    for tensor in graph.initializer:
        if len(tensor.dims) == 2 and min(tensor.dims) > 1:
            small = tensor.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
            what = "embeddings" if tensor.name in read else "linear"
            found[f"{what}, {'8 bits' if small else 'float'}"] += 1
    return found


def _model_file(place):
    found = sorted(Path(place).glob("*.onnx"))
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} files end in .onnx, not one")
    return str(found[0])


def _session(place):
    import onnx
    import onnxruntime

    path = _model_file(place)
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location" and not re.fullmatch(r"\w[\w.-]*", entry.value):
                raise ValueError(f"the weights of {tensor.name} are in {entry.value!r}, outside of the folder")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _run(session, batch):
    asked = [i.name for i in session.get_inputs()]
    return torch.from_numpy(np.array(session.run(None, {name: batch[name].numpy() for name in asked})[0]))


def _in_words(error):
    """An error in one line, without the folder's name."""
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"{type(error).__name__}: {re.sub(r'/[^ ]*/', '', line)[:200]}"


def compare_onnx(files, checkpoint, batches, pairs):
    """In the clean room: logits of an ONNX model, and how many times PyTorch's float32 model takes its time."""
    place = folder_with(files)
    session, model = _session(place), classifier(checkpoint)
    found = {"logits": [_run(session, batch) for batch in batches], "speedups": []}
    if pairs:
        found["speedups"] = _in_pairs(lambda: _run(session, batches[0]), lambda: logits(model, batches[0]), pairs)
    found["speedup"] = median(found["speedups"]) if pairs else None
    return found


# ── a server and its clients ────────────────────────────────────────────────────────────────────────────────────

PATIENCE = 8.0  # seconds for one answer, before a client gives up


class _Served:
    """A real server on a Unix socket, or on a loopback port where there are none, as long as the block lasts."""

    def __init__(self, app):
        import uvicorn
        from starlette.applications import Starlette

        if not isinstance(app, Starlette):
            raise TypeError(f"a FastAPI application was asked for, not a {type(app).__name__}")

        class Server(uvicorn.Server):
            async def main_loop(self):  # uvicorn's own looks ten times a second only
                while not self.should_exit:
                    await asyncio.sleep(0.002)

        self.path = None
        if hasattr(socket, "AF_UNIX"):
            self.path = os.path.join(tempfile.mkdtemp(), "s")
        if self.path and len(self.path) < 100:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(self.path)
        else:
            self.path = None
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", timeout_graceful_shutdown=5, loop="asyncio"
        )
        self.server = Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def __enter__(self):
        self.thread.start()
        until = time.monotonic() + PATIENCE
        while not self.server.started:
            if not self.thread.is_alive() or time.monotonic() > until:
                raise RuntimeError("the server did not start: the application's lifespan handler failed")
            time.sleep(0.001)
        return self

    def __exit__(self, *raised):
        self.server.should_exit = True  # it takes a tenth of a second, for which nobody need wait

    def stop(self):
        """End the server; whether it ended in time."""
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        return not self.thread.is_alive()

    def client(self):
        import httpx

        transport = httpx.AsyncHTTPTransport(uds=self.path, verify=False, limits=httpx.Limits(max_connections=100))
        host = "classifier" if self.path else "{}:{}".format(*self.socket.getsockname())
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", timeout=PATIENCE, trust_env=False)

    async def connection(self):
        if self.path is None:
            return await asyncio.open_connection(*self.socket.getsockname())
        return await asyncio.open_unix_connection(self.path)


async def _ask(client, request):
    """One request: `[method, path, body]`; the body is bytes, what JSON is made of, or `(content type, bytes)`."""
    import httpx

    method, path, body = request
    headers = {"Content-Type": "application/json"}
    if isinstance(body, tuple):
        headers["Content-Type"], body = body
    content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        reply = await client.request(method, path, content=content, headers=headers if content is not None else {})
    except httpx.HTTPError as error:
        return {"status": type(error).__name__}
    return _reply(reply.status_code, reply.content)


def _reply(status, content):
    """What is compared of a reply: the words of a refusal are free."""
    if status != 200:
        return {"status": status}
    try:
        return {"status": 200, "json": json.loads(content)}
    except ValueError:
        return {"status": 200, "json": "no JSON"}


def talk(function, model_dir, steps):
    """Serve the answer's application, and send it requests: those of a step at once, one step after the other.

    The step `"folder gone"` takes the model's folder away.
    """

    async def all_steps(served):
        replies = []
        async with served.client() as client:
            for step in steps:
                if step == "folder gone":
                    os.rename(model_dir, model_dir + ".gone")
                else:
                    replies.append(await asyncio.gather(*(_ask(client, request) for request in step)))
        return replies

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _Served(function(model_dir)) as served:
            return asyncio.run(all_steps(served))


def dawdle(function, model_dir, body, others, *, shut_down=False):
    """A client that sends its request bit by bit, while others ask; the server may be told to stop meanwhile.

    Returns:
        The slow client's reply, those of the others, and whether the server came to its end.
    """
    sent = json.dumps(body).encode()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    )

    async def slowly(served):
        reader, writer = await served.connection()
        writer.write(head.encode() + sent[:5])
        await writer.drain()
        replies = []
        async with served.client() as client:
            for request in others:
                replies.append(await _ask(client, request))
        await asyncio.sleep(0.02)
        served.server.should_exit = shut_down
        for start in range(5, len(sent), 20):
            await asyncio.sleep(0.01)
            writer.write(sent[start : start + 20])
            await writer.drain()
        try:
            raw = await asyncio.wait_for(reader.read() if shut_down else _one_reply(reader), PATIENCE)
            first, _, content = raw.partition(b"\r\n\r\n")
            reply = _reply(int(first.split()[1]), content)
        except (TimeoutError, IndexError, ValueError, OSError, asyncio.IncompleteReadError) as error:
            reply = {"status": type(error).__name__}
        writer.close()
        return reply, replies

    with _Served(function(model_dir)) as served:
        reply, replies = asyncio.run(slowly(served))
        return {"slow": reply, "others": replies, "ended": served.stop()}


async def _one_reply(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head + await reader.readexactly(int(length[1]) if length else 0)
