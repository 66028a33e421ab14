# A formula for Homebrew, as a template: whoever publishes a release puts its address and the SHA-256 of its source
# archive into the two lines marked below. `brew install --build-from-source ./impetus.rb` builds and installs it,
# `brew services start impetus` runs it.
class Impetus < Formula
  desc "Local inference server that a model cannot take down"
  homepage "HOMEPAGE" # of the release
  url "SOURCE_ARCHIVE" # of the release
  sha256 "SHA256_OF_THE_SOURCE_ARCHIVE"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "cmake" => :build
  depends_on "llvm" => :build # bindgen reads llama.cpp's headers with libclang
  depends_on "rust" => :build
  depends_on "libomp"
  depends_on "onnxruntime"

  def install
    ENV["LIBCLANG_PATH"] = Formula["llvm"].opt_lib
    packages = %w[supervisor gateway worker-gguf worker-candle worker-onnx fetcher]
    selection = packages.flat_map { |package| ["-p", "impetus-#{package}"] }
    system "cargo", "build", "--release", "--locked", *selection

    # The programs look for each other beside themselves, for libraries in ../lib and for models in ../models.
    programs = %w[supervisor supervisorctl impetus gateway worker-gguf worker-candle worker-onnx fetcher]
    (libexec/"bin").install programs.map { |program| "target/release/#{program}" }
    (libexec/"lib").install_symlink Dir[Formula["onnxruntime"].opt_lib/"libonnxruntime*.dylib"]
    (libexec/"models").install Dir["bundled/*/*.gguf"], Dir["bundled/*/impetus-*"].select { |path| File.directory?(path) }
    # Not under their own names: others have a `supervisorctl` too.
    bin.install_symlink libexec/"bin/supervisor" => "impetus-supervisor"
    bin.install_symlink libexec/"bin/supervisorctl" => "impetus-supervisorctl"
    bin.install_symlink libexec/"bin/impetus"
    pkgshare.install "config/impetus.example.toml"
    doc.install Dir["docs/*.md"]
  end

  service do
    run [opt_libexec/"bin/supervisor"]
    keep_alive successful_exit: false
    process_type :interactive
    # The name that the supervisor asks launchd for.
    sockets Gateway: "tcp://127.0.0.1:8080"
    error_log_path var/"log/impetus.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/impetus --version")
    assert_match version.to_s, shell_output("#{bin}/impetus-supervisor --version")
    assert_match "gateway.listen", shell_output("#{bin}/impetus-supervisor --print-config")
  end
end
