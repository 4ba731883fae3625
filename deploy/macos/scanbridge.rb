# Homebrew formula of the bridge, for a tap of one's own:
#   brew tap-new YOU/scanbridge && cp deploy/macos/scanbridge.rb "$(brew --repository YOU/scanbridge)/Formula/"
#   brew install --HEAD YOU/scanbridge/scanbridge && brew services start scanbridge
# HOMEBREW_SCANBRIDGE_SOURCE is the repository to take it from: there is no release yet, so there is no archive with a checksum.
class Scanbridge < Formula
  desc "Streams Linux desktops out of virtual machines to browsers"
  homepage "https://scanbridge.dev"
  license "Apache-2.0"
  head ENV.fetch("HOMEBREW_SCANBRIDGE_SOURCE", "file://#{Dir.home}/scanbridge"), using: :git

  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on macos: :ventura
  depends_on "node"

  def install
    system "npm", "ci"
    system "npm", "run", "build"
    libexec.install Dir["*"]
    (bin/"scanbridge").write_env_script libexec/"host-bridge/dist/src/cli.js",
                                        PATH: "#{Formula["node"].opt_bin}:$PATH"
    chmod 0755, libexec/"host-bridge/dist/src/cli.js"
  end

  service do
    run [opt_bin/"scanbridge", "serve", "--scanout", "sb.fe,name=sb,enable=1-4", "--vsock", "sb.vs"]
    working_dir "#{Dir.home}/Library/Group Containers/WDNLXAD4W8.com.utmapp.UTM"
    keep_alive crashed: true
    process_type :interactive
    log_path var/"log/scanbridge.log"
    error_log_path var/"log/scanbridge.log"
  end

  test do
    assert_match "frame-export", shell_output("#{bin}/scanbridge utm-args --desktops 2")
  end
end
