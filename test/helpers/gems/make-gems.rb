# Packs gems: those that Debian has installed as packages, and those of the directories in sources/. Prints a line of JSON for each.
require 'rubygems/package'
require 'base64'
require 'digest'
require 'fileutils'
require 'json'
require 'tmpdir'

Gem::DefaultUserInteraction.ui = Gem::SilentUI.new
layer = ARGV.fetch(0)
out = Dir.mktmpdir

def print_gem(file)
  spec = Gem::Package.new(file).spec
  bytes = File.binread(file)
  dependencies = spec.runtime_dependencies.map { |d| [d.name, d.requirement.requirements.map { |op, v| "#{op} #{v}" }] }
  puts JSON.generate(
    name: spec.name, version: spec.version.to_s, dependencies:, ruby: spec.required_ruby_version.to_s,
    sha256: Digest::SHA256.hexdigest(bytes), bytes: Base64.strict_encode64(bytes)
  )
end

packaged = Dir["#{layer}/usr/{share,lib/*}/rubygems-integration/*/specifications/*.gemspec"].sort
packaged.select! { |path| File.directory?("#{File.dirname(path, 2)}/gems/#{File.basename(path, '.gemspec')}") }
# Gems that come with Ruby and that Bundler wants from a repository nevertheless: racc, minitest and others.
bundled = Dir["#{Gem.default_dir}/specifications/*.gemspec"].sort
known = packaged.map { |path| File.basename(path).sub(/-[^-]*$/, '') }
bundled.reject! { |path| known.include?(File.basename(path).sub(/-[^-]*$/, '')) }
(packaged + bundled).each do |path|
  spec = Gem::Specification.load(path)
  home = File.dirname(path, 2)
  from = "#{home}/gems/#{spec.full_name}"
  dir = "#{out}/#{spec.full_name}"
  FileUtils.cp_r(from, dir)
  # Debian's extensions are compiled: they come as they are.
  spec.extensions = []
  Dir["#{home}/extensions/*/*/#{spec.full_name}"].each do |extension|
    Dir["#{extension}/**/*.so"].each do |file|
      to = "#{dir}/lib/#{file.delete_prefix("#{extension}/")}"
      FileUtils.mkdir_p(File.dirname(to))
      FileUtils.cp(file, to) unless File.exist?(to)
    end
  end
  Dir.chdir(dir) do
    spec.files = Dir.glob('**/*', File::FNM_DOTMATCH).select { |file| File.file?(file) }
    spec.test_files = []
    spec.executables = spec.executables.select { |name| File.file?("#{spec.bindir}/#{name}") }
    print_gem(File.expand_path(Gem::Package.build(spec, true)))
  end
end

Dir['sources/*/*.gemspec'].sort.each do |path|
  dir = "#{out}/#{File.basename(path, '.gemspec')}"
  FileUtils.cp_r(File.dirname(path), dir)
  Dir.chdir(dir) do
    print_gem(File.expand_path(Gem::Package.build(Gem::Specification.load(File.basename(path)), true)))
  end
end
