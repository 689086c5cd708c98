export type { Strength } from './strength.ts'
export type { FrontEnd } from './front-end-tools.ts'
export type { Language } from './language.ts'
export { textOf } from '../../lifecycle/spec/text.ts'
export { App } from './app.ts'
export { eachBinding, findBound, textOfFile } from './binding-shell.ts'
export { type Binding, bindingsOf, boundFile, boundFiles, firstBinding, warnOfSecond } from './bindings.ts'
export {
  type BuildContext,
  type Buildpack,
  type BuildResult,
  type Context,
  defineBuildpack,
  type DetectContext,
  type DetectResult,
  fail,
  pass,
} from './buildpack.ts'
export { programFiles, warnOfListening } from './listening.ts'
export { keepGit, sshFix, type Command, type CommandResult, type Run, type Runner, type RunOptions } from './command.ts'
export { gitSettings, netrcHosts } from './git.ts'
export { type DeclaredCommand, declaredStart } from './declared-start.ts'
export { type ChosenFunction, chooseFunction } from './functions.ts'
export { composerPackages } from './composer-packages.ts'
export { assetsTool, buildOnlyPaths } from './ruby-assets.ts'
export { findRubySite, type RubySite } from './ruby-sites.ts'
export { rootSettings } from './site-roots.ts'
export { mixAssets } from './mix-assets.ts'
export { detectLanguage, type Detection, type LanguageRole, weighLanguages } from './detection.ts'
export { append, byDefault, type EnvChange, type EnvChanges, type LayerEnv, override, prepend } from './env.ts'
export { BuildpackError } from './errors.ts'
export { bookConfig, type Evidence, configuresWebServer, hugoConfig } from './evidence.ts'
export { digestOf, digestOfFile, withTempDir } from './files.ts'
export { type Launch, type LaunchProcess, shellProcess, shellQuote } from './launch.ts'
export { type Documentation, documentationRoot, findDocumentation } from './documentation.ts'
export { findFrontEnd } from './front-end.ts'
export { nodeProject } from './node-project.ts'
export { languages, siteRoots } from './languages.ts'
export {
  drop,
  keep,
  type Layer,
  type LayerContents,
  type LayerDefinition,
  type LayerKey,
  type LayerState,
  type Verdict,
} from './layer.ts'
export type { Offer } from '../../lifecycle/spec/offers.ts'
export { Log, type Output } from './log.ts'
export { type Mirror, mirrorOf } from './mirrors.ts'
export { needsNothing } from '../../lifecycle/spec/run-image-needs.ts'
export { ownArchitecture } from '../../lifecycle/spec/target.ts'
export type { OwnCommand } from './own-commands.ts'
export { firstSetting, isSet, rejectSettings } from './platform.ts'
export { readManifest } from './package-manifest.ts'
export { buildPlan, BuildPlanBuilder } from './plan.ts'
export {
  choosePrograms,
  isStartDeclared,
  linkPrograms,
  type Program,
  programProcesses,
  provideProgramLayer,
} from './programs.ts'
export { type Invocation, invocationOf, runBuildpack } from './run.ts'
export { type Component, packageUrl } from './sbom/component.ts'
export { explainUnsupported } from './explain-unsupported.ts'
export { withoutComments, withoutCommentsAndTemplates } from './script-text.ts'
export { type HomeFiles, withHomeFiles } from './home-files.ts'
export { isServeName, noSubcommand, type Subcommand, subcommandArguments } from './subcommand.ts'
export { removeSources, type SourceRules } from './source-files.ts'
export {
  fromEach,
  fromMise,
  fromToolFiles,
  fromToolVersions,
  fromVersionFile,
  type VersionRequest,
} from './version-files.ts'
export { configOf, findWebFramework, isForDevelopment, svelteConfig, type WebFramework } from './web-frameworks.ts'
export { escapeRegExp, splitWords } from './words.ts'
