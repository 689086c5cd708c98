# Compiles C without a libc, for launcher/build and distribution/dispatcher/build.
warnings='-Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wno-missing-field-initializers'

this_arch() {
  case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac
}

# Prints the compiler for an architecture. If it is missing, names its Debian package.
static_compiler() { # <arch>
  case $1 in
    amd64) compiler=x86_64-linux-gnu-gcc package=gcc-x86-64-linux-gnu ;;
    arm64) compiler=aarch64-linux-gnu-gcc package=gcc-aarch64-linux-gnu ;;
  esac
  if [ "$1" = "$(this_arch)" ]; then compiler=${CC:-gcc} package=gcc; fi
  if command -v "$compiler" >/dev/null; then
    echo "$compiler"
  else
    echo "$1 is not built: $compiler is missing; install the Debian package $package" >&2
    return 1
  fi
}

# No libc, no start files, no build id, and nothing that depends on the time or the path.
build_static() { # <compiler> <output> <sources and further options>
  static_compiler=$1 static_output=$2
  shift 2
  "$static_compiler" -std=c11 $warnings -Os -ffreestanding -nostdlib -static -fno-pie -no-pie -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-tree-loop-distribute-patterns -fno-ident \
    -ffunction-sections -fdata-sections -ffile-prefix-map="$PWD"=. \
    -Wl,--gc-sections,--build-id=none,-z,noexecstack,-z,norelro,-s \
    -o "$static_output.$$" "$@"
  mv "$static_output.$$" "$static_output" # two builds at once must not see half of one
}
