"""Fixed questions and answers: this server first, then a little general talk."""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """Ways to ask, and the one answer."""

    questions: tuple[str, ...]
    answer: str


def _facts(table: tuple[tuple[str, str], ...]) -> tuple[Fact, ...]:
    return tuple(Fact(tuple(questions.split("|")), answer) for questions, answer in table)


SERVER = _facts(
    (
        (
            "who are you?|what are you?|tell me who you are|introduce yourself"
            "|who am I talking to?",
            "You are talking to impetus-tiny, a test and demo model.",
        ),
        (
            "what is your name?|do you have a name?|how are you called?|tell me your name",
            "My name is impetus-tiny.",
        ),
        (
            "what is impetus?|what is this server?|explain impetus|tell me about impetus",
            "Impetus is a local inference server: models run in worker processes "
            "that cannot take it down.",
        ),
        (
            "what happens when a worker crashes?|what happens if a worker crashes?"
            "|what if a worker dies?",
            "The supervisor starts a new worker, and its streams continue there.",
        ),
        (
            "which formats do you serve?|which model formats do you serve?"
            "|what formats do you support?|which formats do you run?",
            "The server runs GGUF, safetensors and ONNX models.",
        ),
        (
            "what is a worker?|explain workers|tell me about workers",
            "A worker is a process that serves one model.",
        ),
        (
            "what is the supervisor?|what does the supervisor do?|explain the supervisor",
            "The supervisor starts, limits and restarts the worker processes.",
        ),
        (
            "what is the gateway?|what does the gateway do?|explain the gateway",
            "The gateway turns OpenAI requests over HTTP into gRPC calls.",
        ),
        (
            "what happens when the supervisor dies?|what if the supervisor crashes?",
            "The workers end themselves, so no process is left behind.",
        ),
        (
            "what happens when memory is full?|what if memory runs out?",
            "Idle workers are stopped to make room, or the request waits.",
        ),
        (
            "what is a standby worker?|explain standby workers",
            "A standby worker is already started, but has no model yet.",
        ),
        (
            "what is a slot?|explain slots",
            "A slot is one place in the KV cache.",
        ),
        (
            "what is a lease?|explain leases",
            "A lease keeps a model in place while a request uses it.",
        ),
        (
            "which engines do you use?|which engine runs the models?",
            "llama.cpp runs GGUF, Candle runs safetensors and ONNX Runtime runs ONNX.",
        ),
        (
            "which api do you speak?|what api does the server have?|is there an api?",
            "The server speaks the OpenAI API.",
        ),
        (
            "which port do you use?|where does the server listen?|what is your address?",
            "The server listens on 127.0.0.1:8080 unless told otherwise.",
        ),
        (
            "how do i see the status?|how can i see what runs?|what is running?",
            "Run: supervisorctl status",
        ),
        (
            "how do i see the logs?|where are the logs?",
            "Run: supervisorctl logs",
        ),
        (
            "which language are you written in?|what language is the server written in?"
            "|are you written in rust?",
            "The server is written in Rust.",
        ),
        (
            "what is your license?|which license do you have?",
            "The license is MIT or Apache-2.0.",
        ),
        (
            "is my data private?|where do my prompts go?|do you need the internet?"
            "|do you work offline?",
            "Everything runs on this machine, without the internet.",
        ),
        (
            "do you need a gpu?|can you run without a gpu?|which hardware do you need?",
            "I run on any CPU.",
        ),
        (
            "how big are you?|how many parameters do you have?|what is your size?",
            "I have 2.6 million parameters.",
        ),
        (
            "what can you do?|what are your abilities?|how can you help me?|help",
            "I can repeat text, count, answer short questions and call tools.",
        ),
        (
            "are you a real model?|are you a mock?|is this real inference?",
            "Yes, I am a real model with real inference, but a very small one.",
        ),
        (
            "who trained you?|how were you trained?|who made you?",
            "I was trained from scratch on generated text.",
        ),
        (
            "what is your context length?|how long is your context?|how many tokens can you read?",
            "My context length is 2048 tokens.",
        ),
        (
            "can you stream?|do you support streaming?|is streaming supported?",
            "Yes, tokens can be streamed one by one.",
        ),
        (
            "can you call tools?|do you support tool calls?|are tools supported?",
            "Yes, I can call tools.",
        ),
        (
            "can you see images?|do you support images?|can you look at pictures?",
            "No, I can only read text.",
        ),
    )
)

GENERAL = _facts(
    (
        (
            "what is gguf?|explain gguf|tell me about gguf",
            "GGUF is a single-file model format used by llama.cpp.",
        ),
        (
            "what is safetensors?|explain safetensors|tell me about safetensors",
            "Safetensors is a safe and simple file format for tensors.",
        ),
        (
            "what is onnx?|explain onnx|tell me about onnx",
            "ONNX is an open exchange format for neural networks.",
        ),
        (
            "how are you?|how are you doing?|how do you feel?|are you well?",
            "I am fine, thank you.",
        ),
        ("hello|hi|hey|hello there|hi there", "Hello! How can I help you?"),
        ("good morning|morning", "Good morning!"),
        ("good evening|evening", "Good evening!"),
        ("good night|sleep well", "Good night!"),
        (
            "thanks|thank you|thank you very much|thanks a lot|many thanks",
            "You are welcome.",
        ),
        ("bye|goodbye|see you|see you later", "Goodbye!"),
        (
            "what is the capital of france?|name the capital of france",
            "The capital of France is Paris.",
        ),
        (
            "what is the capital of germany?|name the capital of germany",
            "The capital of Germany is Berlin.",
        ),
        (
            "what is the capital of italy?|name the capital of italy",
            "The capital of Italy is Rome.",
        ),
        (
            "what is the capital of spain?|name the capital of spain",
            "The capital of Spain is Madrid.",
        ),
        (
            "what is the capital of japan?|name the capital of japan",
            "The capital of Japan is Tokyo.",
        ),
        ("what color is the sky?|which color does the sky have?", "The sky is blue."),
        ("what color is grass?|which color does grass have?", "Grass is green."),
        (
            "how many days are in a week?|how many days does a week have?",
            "A week has seven days.",
        ),
        (
            "how many months are in a year?|how many months does a year have?",
            "A year has twelve months.",
        ),
        ("answer with yes", "yes"),
        ("answer with no", "no"),
        ("ping|are you there?", "pong"),
        (
            "tell me a joke|do you know a joke?|make me laugh",
            "Why did the token cross the stream? To get to the other side.",
        ),
        (
            "what is rust?|explain rust|tell me about rust",
            "Rust is a fast and safe programming language.",
        ),
        (
            "what is python?|explain python|tell me about python",
            "Python is a popular programming language.",
        ),
        (
            "what is an llm?|what is a language model?|explain language models",
            "A language model predicts the next token of a text.",
        ),
        ("what is a token?|explain tokens", "A token is a small piece of text."),
        (
            "what is an embedding?|explain embeddings",
            "An embedding is a vector that stands for a text.",
        ),
        (
            "what is a stop sequence?|explain stop sequences",
            "A stop sequence ends the answer when it appears.",
        ),
        (
            "what is temperature?|explain temperature",
            "Temperature controls how random the sampling is.",
        ),
        (
            "what is greedy decoding?|explain greedy decoding",
            "Greedy decoding always takes the most likely token.",
        ),
        (
            "what is quantization?|explain quantization",
            "Quantization stores weights with fewer bits.",
        ),
        (
            "what is a kv cache?|explain the kv cache",
            "The KV cache keeps keys and values of past tokens.",
        ),
        (
            "write a haiku|give me a haiku|a haiku please",
            "Small model wakes up,\nfew numbers but real answers,\nthe server is calm.",
        ),
        ("list three colors|name three colors", "1. red\n2. green\n3. blue"),
        ("list three fruits|name three fruits", "1. apple\n2. banana\n3. cherry"),
        (
            "recite the alphabet|list the letters of the alphabet",
            "a b c d e f g h i j k l m n o p q r s t u v w x y z",
        ),
        (
            "tell me a story|tell a story|write a story|tell me a long story",
            "Once upon a time there was a small model that lived inside a server. Every morning it "
            "woke up, read the first token and waited for a question. One day a user asked for a "
            "story. The model thought about it for a moment, counted its layers and began to "
            "write. It wrote about a river, a bridge and a brave little fox that carried "
            "letters from one side to the other. The fox never lost a letter, and every letter "
            "was read with joy. When the story was done, the model said good night and went back "
            "to sleep. The end.",
        ),
        (
            "write hello world in python|show me hello world in python",
            '```python\nprint("Hello, world!")\n```',
        ),
        (
            "write hello world in rust|show me hello world in rust",
            '```rust\nfn main() {\n    println!("Hello, world!");\n}\n```',
        ),
        ("what is one plus one?|how much is one plus one?", "One plus one is two."),
        ("what day is it?|what is the date today?", "I do not know the date."),
        (
            "are you human?|are you a person?|are you alive?",
            "No, I am a program.",
        ),
    )
)

FACTS = SERVER + GENERAL
