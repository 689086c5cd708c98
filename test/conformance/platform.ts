import type { Document } from './table.ts'

// Reasons that many rows share.
const platformKeeps = 'the platform keeps it; the lifecycle cannot know'
const applies =
  'cli/phase/extend: applies the Dockerfiles as root to the build image, and builds as its user with what they set'
const extendsRun =
  'cli/phase/extend-run: leaves what the Dockerfiles change as layers on the run image, which exporter takes as the base'
const windows = 'Windows images are not supported'
const specification = 'it binds the specification itself'
const baseImages = 'the author of a base image keeps it'

const extended =
  'cli/phase/extensions: runs those whose provides are required, and takes what they meet out of the plan'
const selected = 'cli/phase/extensions: selects a run image: %s'
const warned = 'cli/phase/extensions: warns of a run image that run.toml lacks: %s'
const prepared =
  'cli/phase/extensions: needs neither bin/detect nor bin/generate: the extension’s folders have the output'

const labelsLeftOut =
  'Bale’s own images have no label io.buildpacks.base.metadata, as there is nothing more to say, and homepage only where stack.toml has one'

const supported = 'spec/api: D18 refuses %j and lists what there is'
const ordinary = 'cli/phase/buildpacks: writes the group and the plan, with id, version and api of each buildpack'
const gathered = 'cli/phase/buildpacks: runs the group in its order and gathers all in metadata.toml'
const system = 'cli/phase/buildpacks: puts the system’s buildpacks around each group from 0.15 on: %s'
const execEnv =
  'cli/phase/buildpacks: leaves out what is for other execution environments, and goes on to the next group'
const composed =
  'phases/export: is the run image with the launcher, its config and a link for each process type above it'
const entrypoint = 'phases/export: starts %s'
const config = 'phases/export: keeps the config of the run image, and says where layers and app are'
const refusedMode = 'cli/phase/main: CNB_EXPERIMENTAL_MODE=%s refuses'
const otherModes = 'cli/phase/main: CNB_EXPERIMENTAL_MODE=%s'
const everyApi =
  'launcher/process: Platform API ${platform}: shell or direct, arguments appended or replaced, with each Buildpack API'
const chosen = 'launcher/process: ${as} ${JSON.stringify(args)} runs ${JSON.stringify(expected)}'
const resolvedDir = 'launcher/process: ${JSON.stringify(workingDir)} is ${expected}'
const reproducible = 'phases/export: has constant times, so that the same build gives the same image'
const label = 'phases/export: says of each layer where it came from'
const stack = 'stacks/description: describes the images as platform.md asks'
const analyzed = 'cli/phase/analyzer: writes what the other phases and platforms read'
const layout = 'cli/phase/exporter: -layout: registry/repository/tag below the directory'

/** The rows of platform.md. */
export const platform: Document = {
  file: 'platform.md',
  oldest: '0.7',
  newest: '0.15',
  sections: [
    {
      section: 'Platform API Version',
      rows: [
        { line: 105, what: 'a version is major.minor, or major alone', tests: [supported] },
        { line: 106, what: 'after 1.0 minor versions only add', notApplicable: specification },
      ],
    },
    {
      section: 'Terminology › CNB Terminology',
      rows: [
        {
          line: 134,
          what: 'an execution environment has no slash',
          since: '0.15',
          tests: ['spec/exec-env: is refused as %j'],
        },
      ],
    },
    {
      section: 'Terminology › Build Image',
      rows: [
        { line: 167, what: 'a build image has a user, CNB_USER_ID, CNB_GROUP_ID and PATH', tests: [stack] },
        { line: 174, what: 'and the labels of a base image', deviates: labelsLeftOut, tests: [stack] },
      ],
    },
    {
      section: 'Terminology › Run Image',
      rows: [
        { line: 190, what: 'a run image has PATH', tests: [stack] },
        {
          line: 194,
          what: 'another user than the build image, and the labels of a base image',
          deviates: labelsLeftOut,
          tests: [stack],
        },
      ],
    },
    {
      section: 'Terminology › Target Data',
      rows: [
        { line: 206, what: 'a run image has a target ID', tests: [stack] },
        { line: 211, what: 'of letters, digits and . / -', tests: [stack] },
        { line: 212, what: 'that is nobody else’s', notApplicable: baseImages },
        { line: 213, what: 'in reverse domain notation', tests: [stack] },
        { line: 215, what: 'both images have os and architecture, the same', tests: [stack] },
        { line: 220, what: 'and variant and distribution', tests: [stack] },
      ],
    },
    {
      section: 'Terminology › Compatibility Guarantees',
      rows: [
        { line: 229, what: 'new build images are compatible with old ones', notApplicable: baseImages },
        { line: 230, what: 'so are new run images', notApplicable: baseImages },
        { line: 231, what: 'and apps do not change on them', notApplicable: baseImages },
      ],
    },
    {
      section: 'Lifecycle Interface › Platform API Compatibility',
      rows: [
        {
          line: 237,
          what: 'the platform sets CNB_PLATFORM_API',
          notApplicable: platformKeeps,
        },
        {
          line: 240,
          what: 'a version that is set is kept to',
          tests: [
            'cli/phase/buildpacks: build an app one after the other at Platform API %s',
            'cli/phase/flags: $binary -$name',
            everyApi,
          ],
        },
        {
          line: 241,
          what: 'or refused',
          tests: [
            supported,
            'cli/phase/hostile: D18 Platform API %j: 11, before anything else',
            'launcher/process: ${JSON.stringify(api)} is refused with 11, before anything else is read',
          ],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Operations › Build',
      rows: [
        {
          line: 256,
          what: 'a build is the phases in order, or creator',
          tests: [
            'cli/phase/phases.e2e: at Platform API %s: five processes, again with what they left, and creator',
            'line.e2e: builds a Flask app, and the image serves its page',
            'cli/phase/line: builds, and builds again with what the first build left',
          ],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Operations › Rebase',
      rows: [
        {
          line: 273,
          what: 'a newer run image gives a rebased app',
          tests: ['phases/rebase: has the layers of the new run image below its own'],
        },
        {
          line: 275,
          what: 'its metadata names the new run image',
          tests: ['phases/rebase: says on which run image it is, and is otherwise the same'],
        },
        {
          line: 280,
          what: 'rebasing is what rebaser does',
          tests: ['cli/phase/rebaser: puts the app on the run image that it names, and reports it'],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Operations › Launch',
      rows: [{ line: 289, what: 'the launcher or a link to it is the entrypoint', tests: [entrypoint, composed] }],
    },
    {
      section: 'Lifecycle Interface › Usage',
      rows: [
        {
          line: 295,
          what: 'CNB_PLATFORM_API is looked at before all else',
          tests: [
            'cli/phase/hostile: D18 Platform API %j: 11, before anything else',
            'launcher/process: ${JSON.stringify(api)} is refused with 11, before anything else is read',
          ],
        },
        {
          line: 296,
          what: 'the command line wins',
          tests: [
            'cli/phase/flags: -%s, %s, %s',
            'cli/phase/buildpacks: takes the command line before the environment, and a file of the layers before the builder’s order',
          ],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › analyzer › Inputs',
      rows: [
        {
          line: 344,
          what: 'the image is a valid reference',
          tests: [
            'cli/phase/analyzer: no image',
            'cli/phase/analyzer: a malformed image',
            'cli/phase/analyzer: may name an image by its digest, which is then the previous one',
          ],
        },
        { line: 345, what: 'so is each tag', tests: ['cli/phase/analyzer: a malformed tag'] },
        {
          line: 346,
          what: 'tags are in the image’s registry',
          tests: ['cli/phase/analyzer: a tag in another registry'],
        },
        {
          line: 347,
          what: 'the previous image is a valid reference',
          tests: ['cli/phase/analyzer: a malformed previous image'],
        },
        {
          line: 348,
          what: 'or, in a daemon, an image ID',
          tests: ['cli/phase/analyzer: may be named by its ID in a daemon'],
        },
        {
          line: 349,
          what: 'with skip-layers the previous SBOMs stay away',
          since: '0.9',
          tests: ['cli/phase/analyzer: its SBOM files at %s: %s'],
        },
        {
          line: 350,
          what: 'the run image comes from run.toml if it is not given',
          tests: [
            'cli/phase/analyzer: chooses the run image that run.toml, before 0.12 stack.toml, has for the registry of the app',
            'cli/phase/analyzer: is an error that names each candidate when none can be read',
          ],
        },
        {
          line: 351,
          what: 'images that do not exist yet are no error',
          tests: [
            'cli/phase/analyzer: may be another one than the image, and may be missing',
            'cli/phase/restorer: holds the layers in a directory’s place',
          ],
        },
        {
          line: 352,
          what: 'image, tags and cache image can be written',
          tests: [
            'cli/phase/analyzer: fails when %s could not be written',
            'phases/analyze: fails before any work when the result could not be written',
          ],
        },
        {
          line: 353,
          what: 'previous, cache and run image can be read',
          tests: [
            'cli/phase/analyzer: fails before any work when %s is refused',
            'cli/phase/analyzer: a run image that is not there',
          ],
        },
        { line: 354, what: 'analyzed.toml is written', tests: [analyzed] },
        {
          line: 355,
          what: 'with the previous image',
          tests: ['cli/phase/analyzer: may be another one than the image, and may be missing'],
        },
        { line: 356, what: 'and the run image', tests: [analyzed] },
        {
          line: 357,
          what: 'layout needs layout-dir',
          since: '0.12',
          tests: [
            'cli/phase/analyzer: -layout needs -layout-dir, at every API that has a twin for it',
            'cli/phase/analyzer: -layout without the mode',
          ],
        },
        { line: 357, what: 'which images are found below by their names', since: '0.12', tests: [layout] },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › detector',
      rows: [
        {
          line: 378,
          what: 'detector is run in the build image',
          tests: ['line.e2e: builds a Flask app, and the image serves its page'],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › detector › Outputs',
      rows: [
        { line: 448, what: 'the system’s first buildpacks come before each group', since: '0.15', tests: [system] },
        {
          line: 449,
          what: 'except those that the group has',
          since: '0.15',
          tests: [system, 'spec/documents: puts the operator’s buildpacks around each group, unless it has them'],
        },
        { line: 450, what: 'its last ones after each group', since: '0.15', tests: [system] },
        { line: 451, what: 'except those that the group has', since: '0.15', tests: [system] },
        { line: 454, what: 'one group is detected and written', tests: [ordinary] },
        { line: 455, what: 'and its plan', tests: [ordinary] },
        {
          line: 456,
          what: 'buildpacks are told of the run image’s target',
          since: '0.10',
          tests: ['cli/phase/buildpacks: tells buildpacks of the target in analyzed.toml: %s'],
        },
        { line: 458, what: 'buildpacks for other execution environments are skipped', since: '0.15', tests: [execEnv] },
        { line: 459, what: 'and groups of which none is left', since: '0.15', tests: [execEnv] },
        { line: 463, what: 'extensions are run in their order', since: '0.10', tests: [extended] },
        { line: 464, what: 'what they provide leaves the plan', since: '0.10', tests: [extended] },
        { line: 465, what: 'the run image is the one they select', since: '0.10', tests: [selected] },
        { line: 465, what: 'by their Dockerfiles, in order', since: '0.10', tests: [selected] },
        { line: 466, what: 'the original one where all extend it', since: '0.10', tests: [selected] },
        { line: 467, what: 'else the last one named', since: '0.10', tests: [selected] },
        { line: 468, what: 'its name is recorded', since: '0.10', tests: [selected] },
        { line: 469, what: 'reference and target are cleared', since: '0.10', tests: [selected] },
        { line: 470, what: 'earlier Dockerfiles are set aside', since: '0.10', tests: [selected] },
        { line: 472, what: 'it is not extended where none follows', since: '0.10', tests: [selected] },
        { line: 474, what: 'it is where one does', since: '0.10', tests: [selected] },
        { line: 475, what: 'one that run.toml lacks is warned about', since: '0.10', tests: [warned] },
        { line: 476, what: 'the build image is recorded', since: '0.10', tests: [prepared] },
        { line: 478, what: 'not extended without Dockerfiles', since: '0.10', tests: [prepared] },
        { line: 480, what: 'extended with them', since: '0.10', tests: [extended] },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › restorer › Outputs',
      rows: [
        {
          line: 549,
          what: 'store.toml is restored',
          tests: [
            'cli/phase/restorer: brings back what the layers of each kind have, and no more than is asked for',
            'phases/restore: has the store of its buildpack, from the image alone',
          ],
        },
        {
          line: 550,
          what: 'with skip-layers no layer is',
          tests: ['cli/phase/restorer: brings back what the layers of each kind have, and no more than is asked for'],
        },
        {
          line: 551,
          what: 'without it they are, for the buildpacks of the group',
          tests: [
            'cli/phase/restorer: brings back what the layers of each kind have, and no more than is asked for',
            'phases/restore: is for the buildpacks of the group only',
          ],
        },
        { line: 553, what: 'the build image’s digest is recorded', since: '0.10', tests: [applies] },
        { line: 554, what: 'and its manifest and config kept', since: '0.10', tests: [applies] },
        {
          line: 556,
          what: 'the run image is found again, or a mirror of it',
          since: '0.14',
          tests: ['cli/phase/restorer: that cannot be read any more gives way to a mirror, from 0.14 on: %s'],
        },
        {
          line: 557,
          what: 'its target is there',
          since: '0.12',
          tests: ['cli/phase/restorer: gets its target if analyze did not say it'],
        },
        { line: 559, what: 'a run image to extend is saved', since: '0.12', tests: [extendsRun] },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › restorer › Layer Restoration',
      rows: [
        {
          line: 563,
          what: 'the cache directory or the cache image is used',
          tests: [
            'cli/phase/line: builds, and builds again with what the first build left',
            'cli/phase/restorer: holds the layers in a directory’s place',
          ],
        },
        {
          line: 563,
          what: 'by the rules of “Layer Types”',
          tests: ['phases/restore: of a layer for %j: metadata and SBOM %s, contents %s'],
        },
        {
          line: 565,
          what: 'no layers of another execution environment',
          notApplicable: 'the platform chooses the previous image',
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › extender (optional)',
      rows: [{ line: 569, what: 'extender is run in the image it extends', notApplicable: platformKeeps }],
    },
    {
      section: 'Lifecycle Interface › Usage › extender (optional) › Outputs',
      rows: [
        { line: 621, what: 'builder is skipped after it', since: '0.10', tests: [applies] },
        { line: 639, what: 'Dockerfiles are applied', since: '0.10', tests: [applies] },
        { line: 640, what: 'with the folder as context', since: '0.10', tests: [applies] },
        { line: 641, what: 'to the image of analyzed.toml', since: '0.10', tests: [applies] },
        { line: 645, what: 'then the build phase runs as the user', since: '0.10', tests: [applies] },
        {
          line: 648,
          what: 'a Dockerfile may take rebasable away',
          since: '0.12',
          tests: [
            'cli/phase/extend-run: makes a layer for each Dockerfile that changes files, and all of them say whether it can be rebased',
          ],
        },
        {
          line: 650,
          what: 'a root user in the end fails',
          since: '0.12',
          tests: ['cli/phase/extend-run: fails where the run image would run as root'],
        },
        { line: 651, what: 'manifest, config and new layers are kept', since: '0.12', tests: [extendsRun] },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › builder',
      rows: [
        {
          line: 655,
          what: 'builder is run in the build image',
          tests: ['line.e2e: builds a Flask app, and the image serves its page'],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › builder › Outputs',
      rows: [
        { line: 706, what: 'the group is run in its order', tests: [gathered] },
        {
          line: 707,
          what: 'buildpacks are told of the run image’s target',
          since: '0.12',
          tests: ['cli/phase/buildpacks: tells buildpacks of the target in analyzed.toml'],
        },
        { line: 708, what: 'metadata.toml has the buildpacks', tests: [gathered] },
        { line: 709, what: 'all processes and slices', tests: [gathered] },
        { line: 710, what: 'and the default process', tests: [gathered] },
        {
          line: 711,
          what: 'web is the default for Buildpack API < 0.6',
          notApplicable: 'Buildpack API 0.7 is the oldest that we support',
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › exporter › Inputs',
      rows: [
        {
          line: 776,
          what: 'each image is a valid tag',
          tests: ['cli/phase/exporter: a malformed one', 'cli/phase/exporter: a digest'],
        },
        { line: 777, what: 'all in one registry', tests: ['cli/phase/exporter: some in different registries'] },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › exporter › Outputs',
      rows: [
        {
          line: 797,
          what: 'each tag gets the same image',
          tests: ['cli/phase/exporter: exports to several repositories of a registry'],
        },
        { line: 800, what: 'an extended run image is the base', since: '0.12', tests: [extendsRun] },
        { line: 802, what: 'the run image of analyzed.toml is the base', tests: [composed] },
        { line: 803, what: 'its layers stay', tests: [composed] },
        { line: 804, what: 'its config stays', tests: [config] },
        {
          line: 805,
          what: 'launch layers are in',
          tests: [
            'phases/export: are in the image exactly when they are for launch, at their absolute paths, with their metadata',
          ],
        },
        {
          line: 806,
          what: 'and a layer of SBOMs',
          since: '0.8',
          tests: ['phases/export: for launch are a layer of the image'],
        },
        {
          line: 807,
          what: 'that of the buildpack',
          since: '0.8',
          tests: ['phases/export: for launch are a layer of the image'],
        },
        {
          line: 808,
          what: 'those of its launch layers',
          since: '0.8',
          tests: ['phases/export: for launch are a layer of the image'],
        },
        {
          line: 810,
          what: 'and the launcher’s',
          since: '0.11',
          tests: ['cli/phase/exporter: writes config, labels and report as that API has them'],
        },
        {
          line: 811,
          what: 'the app is in',
          tests: [
            'phases/export: is one layer without slices, at its absolute path',
            'phases/export: is a layer for each slice, those of earlier buildpacks first, and one for the rest',
          ],
        },
        { line: 812, what: 'the launcher, and a link for each process', tests: [composed] },
        { line: 815, what: 'metadata.toml', tests: [composed] },
        { line: 817, what: 'the wanted process is the entrypoint', tests: [entrypoint] },
        {
          line: 819,
          what: 'one that is not there fails',
          tests: ['phases/export: is not made for a process that no buildpack provides'],
        },
        { line: 821, what: 'else the buildpacks’ default', tests: [entrypoint] },
        { line: 823, what: 'else the launcher', tests: [entrypoint] },
        { line: 824, what: 'Env says where layers and app are, and PATH has the processes', tests: [config] },
        { line: 828, what: 'the app is the working directory', tests: [config] },
        {
          line: 829,
          what: 'the labels are there',
          tests: ['phases/export: has the project’s metadata and the run image’s rebasable label', label],
        },
        {
          line: 831,
          what: 'the project’s is project-metadata.toml',
          tests: ['phases/export: has the project’s metadata and the run image’s rebasable label'],
        },
        {
          line: 834,
          what: 'an extended image is rebasable where its Dockerfiles say so',
          since: '0.12',
          tests: [extendsRun],
        },
        {
          line: 836,
          what: 'every other one is not rebasable',
          since: '0.12',
          deviates:
            'the run image’s label stays as it is, as in the Go lifecycle: read literally, no app could ever be rebased',
          tests: ['phases/export: has the project’s metadata and the run image’s rebasable label'],
        },
        { line: 838, what: 'files in new layers have one time', tests: [reproducible] },
        {
          line: 839,
          what: 'the image has SOURCE_DATE_EPOCH, or one time',
          since: '0.9',
          tests: [reproducible, 'line.e2e: dates the image by SOURCE_DATE_EPOCH, and the layers not'],
        },
        {
          line: 841,
          what: 'report.toml is written',
          tests: [
            'cli/phase/exporter: writes config, labels and report as that API has them',
            'phases/export: is described by the report',
          ],
        },
        {
          line: 844,
          what: 'the layers directory has the build’s SBOMs',
          since: '0.8',
          tests: ['phases/export: for build are in the layers directory'],
        },
        {
          line: 845,
          what: 'that of the buildpack',
          since: '0.8',
          tests: ['phases/export: for build are in the layers directory'],
        },
        {
          line: 846,
          what: 'those of layers that are not for launch',
          since: '0.8',
          tests: ['phases/export: for build are in the layers directory'],
        },
        {
          line: 848,
          what: 'and the lifecycle’s',
          since: '0.11',
          tests: ['cli/phase/exporter: writes config, labels and report as that API has them'],
        },
        {
          line: 850,
          what: 'cached layers and their SBOMs go to the cache',
          tests: ['phases/restore: keeps what a build caches: contents, metadata and SBOM'],
        },
        {
          line: 851,
          what: 'with diffID and metadata',
          tests: ['phases/restore: keeps what a build caches: contents, metadata and SBOM'],
        },
        { line: 854, what: 'with layout the image is below layout-dir', since: '0.12', tests: [layout] },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › creator',
      rows: [{ line: 858, what: 'creator is run in the build image', notApplicable: platformKeeps }],
    },
    {
      section: 'Lifecycle Interface › Usage › creator › Inputs',
      rows: [
        {
          line: 892,
          what: 'creator is the five phases in order',
          tests: ['cli/phase/phases.e2e: at Platform API %s: five processes, again with what they left, and creator'],
        },
        {
          line: 900,
          what: 'with skip-restore only store.toml is restored',
          tests: [
            'cli/phase/phases.e2e: creator restores nothing but the store with -skip-restore, and gives the image all of its names',
          ],
        },
        {
          line: 901,
          what: 'tags are more names of the image',
          tests: [
            'cli/phase/phases.e2e: creator restores nothing but the store with -skip-restore, and gives the image all of its names',
          ],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › rebaser › Inputs',
      rows: [
        {
          line: 952,
          what: 'an image that is not rebasable is refused without force',
          tests: [
            'phases/rebase: %s: it fails, and the tag stays',
            'phases/rebase: %s: it goes by force, with a warning, and the image says what it is',
          ],
        },
        {
          line: 953,
          what: 'each image is a valid tag',
          tests: ['cli/phase/rebaser: no reference', 'cli/phase/rebaser: a digest to write to'],
        },
        { line: 954, what: 'all in one registry', tests: ['cli/phase/rebaser: two registries'] },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › rebaser › Outputs',
      rows: [
        {
          line: 976,
          what: 'each tag gets the same image',
          tests: ['cli/phase/rebaser: leaves the previous image as it is, and writes the same image to every name'],
        },
        {
          line: 977,
          what: 'the image is as it was but for what follows',
          tests: ['phases/rebase: says on which run image it is, and is otherwise the same'],
        },
        {
          line: 978,
          what: 'the run image’s layers end with the top layer of the label',
          tests: ['phases/rebase: ends where the run image ended, though an empty layer is there several times'],
        },
        {
          line: 979,
          what: 'and are replaced',
          tests: ['phases/rebase: has the layers of the new run image below its own'],
        },
        {
          line: 980,
          what: 'the label names the new one',
          tests: ['phases/rebase: says on which run image it is, and is otherwise the same'],
        },
        {
          line: 981,
          what: 'its reference',
          tests: ['phases/rebase: says on which run image it is, and is otherwise the same'],
        },
        {
          line: 982,
          what: 'its top layer',
          tests: ['phases/rebase: says on which run image it is, and is otherwise the same'],
        },
        {
          line: 983,
          what: 'the base and stack labels are the new one’s',
          tests: ['phases/rebase: has the labels of the new run image about what it is, and none of the old one’s'],
        },
        {
          line: 984,
          what: 'with force the target is the new one’s',
          since: '0.12',
          tests: ['phases/rebase: %s: it goes by force, with a warning, and the image says what it is'],
        },
        {
          line: 990,
          what: 'without it the targets match',
          since: '0.12',
          tests: ['phases/rebase: %s: it fails, and the tag stays', 'phases/rebase: is not %s'],
        },
        {
          line: 992,
          what: 'with force a new name is recorded',
          since: '0.12',
          tests: [
            'cli/phase/rebaser: takes another run image: %s',
            'phases/rebase: is recorded when it is forced on a run image of another name: no mirrors are known',
          ],
        },
        {
          line: 993,
          what: 'and its mirrors are left out',
          since: '0.12',
          tests: ['phases/rebase: is recorded when it is forced on a run image of another name: no mirrors are known'],
        },
        {
          line: 994,
          what: 'without force the name is one that the label has',
          since: '0.12',
          tests: ['phases/rebase: %s: it fails, and the tag stays', 'phases/rebase: is not %s'],
        },
        {
          line: 996,
          what: 'created is a constant',
          tests: ['phases/rebase: keeps its history: one entry a layer, those of the run image dated as the image'],
        },
        {
          line: 997,
          what: 'report.toml is written',
          tests: ['cli/phase/rebaser: puts the app on the run image that it names, and reports it'],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › launcher › Inputs',
      rows: [
        { line: 1025, what: 'command, arguments, directory and directness are derived', tests: [chosen] },
        {
          line: 1027,
          what: 'argv[0] names the process type',
          tests: [chosen, 'launcher/hostile: L13 argv[0] ${JSON.stringify(as)}'],
        },
        {
          line: 1029,
          what: 'the process of that type for the execution environment is chosen',
          tests: [chosen, 'launcher/process: eligible: ${title}'],
        },
        {
          line: 1030,
          what: 'or the launch fails',
          since: '0.15',
          tests: ['launcher/process: not eligible: 82, and where it would be'],
        },
        { line: 1035, what: 'it runs in its directory, else in the app’s', tests: [resolvedDir] },
        {
          line: 1037,
          what: 'with overridable arguments it is direct',
          since: '0.10',
          tests: [everyApi],
        },
        {
          line: 1038,
          what: 'and the user’s arguments replace the default ones',
          since: '0.10',
          tests: [everyApi],
        },
        {
          line: 1040,
          what: 'else it is direct as the buildpack says',
          tests: ['launcher/process: Buildpack API ${api}: a process says whether it is direct', everyApi],
        },
        {
          line: 1041,
          what: 'and the user’s arguments are appended',
          tests: [everyApi, "launcher/shell: the user's arguments follow"],
        },
        {
          line: 1044,
          what: 'after -- a command is direct',
          tests: [chosen, 'launcher/shell: a direct process has none'],
        },
        { line: 1045, what: 'the second argument is it', tests: [chosen] },
        { line: 1046, what: 'the others are its arguments', tests: [chosen] },
        {
          line: 1047,
          what: 'in the app directory',
          tests: [
            'launcher/execd: runs in the app directory, by its absolute path, in the launch environment',
            resolvedDir,
          ],
        },
        {
          line: 1049,
          what: 'without -- it goes to a shell',
          tests: ["launcher/shell: a user's lone command is a script, with arguments a program"],
        },
        {
          line: 1050,
          what: 'the first argument is it',
          tests: ["launcher/shell: a user's lone command is a script, with arguments a program", chosen],
        },
        {
          line: 1051,
          what: 'the others are its arguments',
          tests: ["launcher/shell: a user's lone command is a script, with arguments a program", chosen],
        },
        {
          line: 1052,
          what: 'in the app directory',
          tests: ["launcher/shell: a user's command runs in the app directory"],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › launcher › Execution',
      rows: [
        {
          line: 1058,
          what: 'the environment is that of the layers',
          tests: [
            'launcher/env: X${suffix}',
            'launcher/env: later buildpacks come first, the layers of one in ascending order',
          ],
        },
        {
          line: 1060,
          what: 'exec.d is run, general ones first, in order',
          tests: [
            'launcher/execd: general ones first, in the order of buildpacks, layers and names; then those of the process',
          ],
        },
        {
          line: 1070,
          what: 'a shell sources profile.d in order, then .profile',
          tests: ['launcher/shell: general ones, then those of the process, then .profile'],
        },
        {
          line: 1081,
          what: 'the command starts in its directory',
          tests: [
            resolvedDir,
            'launcher/shell: they see the environment of the layers and exec.d, and run in the app directory',
          ],
        },
        {
          line: 1083,
          what: 'it is started as was decided',
          tests: [chosen, 'launcher/shell: a direct process has none'],
        },
        {
          line: 1085,
          what: 'it replaces the launcher',
          tests: ['launcher/process: the app replaces the launcher: one process'],
        },
        {
          line: 1087,
          what: 'and bash',
          tests: ['launcher/shell: bash leaves no process behind: ${JSON.stringify(args)}'],
        },
        { line: 1089, what: 'Command Prompt starts one like itself', notApplicable: windows },
      ],
    },
    {
      section: 'Lifecycle Interface › Usage › launcher › Outputs',
      rows: [
        {
          line: 1104,
          what: 'the environment is that of “Launch Environment”',
          tests: ["launcher/env: keeps the user's and the image's variables, and drops the launcher's own"],
        },
        { line: 1105, what: 'the process is run as buildpack.md has it', tests: [chosen] },
        {
          line: 1106,
          what: 'in the launcher’s place',
          tests: ['launcher/process: the app replaces the launcher: one process'],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Registry Authentication',
      rows: [
        {
          line: 1122,
          what: 'CNB_REGISTRY_AUTH is a JSON object',
          tests: [
            'stores/credentials: has headers for registries',
            'stores/credentials: K07 K02 is malformed (%#), and not shown',
          ],
        },
        {
          line: 1123,
          what: 'its header is sent to its registry',
          tests: [
            'stores/credentials: has headers for registries',
            'stores/registry-auth: of the kind registry token are sent as they are',
          ],
        },
        {
          line: 1125,
          what: 'else config.json is used',
          tests: [
            'stores/credentials: has %s',
            'stores/credentials: goes before config.json, which serves for other registries',
          ],
        },
        {
          line: 1126,
          what: 'as Docker does',
          tests: [
            'stores/credentials: K06 has a key %s, which is for %s: %s',
            'stores/credentials: K05 are asked before auths, the one for a registry before the one for all',
          ],
        },
        {
          line: 1130,
          what: 'else nobody is logged in',
          tests: ['stores/registry-auth: are not needed where anybody may read'],
        },
      ],
    },
    {
      section: 'Lifecycle Interface › Experimental Features',
      rows: [
        { line: 1136, what: 'the platform sets CNB_EXPERIMENTAL_MODE', notApplicable: platformKeeps },
        { line: 1139, what: 'unset: it fails', tests: [refusedMode] },
        { line: 1140, what: 'warn: a warning', tests: [otherModes] },
        { line: 1141, what: 'error: it fails', tests: [refusedMode] },
        { line: 1142, what: 'silent: nothing', tests: [otherModes] },
      ],
    },
    {
      section: 'Buildpacks › Buildpacks Directory Layout',
      rows: [
        {
          line: 1148,
          what: 'buildpacks are in ID/version',
          tests: [
            'phases/detect: gives bin/detect the inputs of the spec, and only the environment that may pass',
            'spec/ids: turns slashes into underscores',
          ],
        },
      ],
    },
    {
      section: 'Image Extensions › Image Extensions Directory Layout',
      rows: [{ line: 1157, what: 'extensions are in ID/version', tests: [selected] }],
    },
    {
      section: 'Security Considerations',
      rows: [
        {
          line: 1164,
          what: 'each phase runs apart from the credentials of others',
          tests: [
            'engines/view-cases: K15 nothing of our environment and command line',
            'cli/phase/buildpacks: K14 K15 keep registry credentials from buildpacks',
          ],
        },
      ],
    },
    {
      section: 'Additional Guidance › Environment › Buildpack Environment › Base Image-Provided Variables',
      rows: [
        { line: 1175, what: 'HOME is set', tests: ['engines/view-cases: a home where the run says', stack] },
        {
          line: 1175,
          what: 'and reaches buildpacks',
          tests: [
            'spec/env: lets through what is on the list and nothing else',
            'cli/phase/buildpacks: gives the user’s and, from 0.11 on, the operator’s variables to buildpacks: %s',
          ],
        },
      ],
    },
    {
      section: 'Additional Guidance › Environment › Buildpack Environment › POSIX Path Variables',
      rows: [
        {
          line: 1184,
          what: 'path variables are set',
          tests: ['spec/env: lets through what is on the list and nothing else', stack],
        },
        {
          line: 1194,
          what: 'nothing else of the image reaches buildpacks',
          tests: [
            'spec/env: lets through what is on the list and nothing else',
            'phases/detect: gives bin/detect the inputs of the spec, and only the environment that may pass',
          ],
        },
      ],
    },
    {
      section: 'Additional Guidance › Environment › Buildpack Environment › User-Provided Variables',
      rows: [
        {
          line: 1198,
          what: 'the user’s variables are files in platform/env',
          tests: [
            'cli/phase/buildpacks: gives the user’s and, from 0.11 on, the operator’s variables to buildpacks: %s',
            'line.e2e: takes variables, tags and other places, and writes a report',
          ],
        },
        {
          line: 1200,
          what: 'each file is one',
          tests: [
            'spec/env: knows no suffixes in the user’s names',
            'cli/phase/buildpacks: gives the user’s and, from 0.11 on, the operator’s variables to buildpacks: %s',
          ],
        },
        {
          line: 1207,
          what: 'they are not in our own environment',
          tests: [
            'cli/phase/buildpacks: gives the user’s and, from 0.11 on, the operator’s variables to buildpacks: %s',
          ],
        },
      ],
    },
    {
      section: 'Additional Guidance › Environment › Buildpack Environment › Operator-Defined Variables',
      rows: [
        {
          line: 1211,
          what: 'the operator’s are files in build-config/env',
          since: '0.11',
          tests: [
            'cli/phase/buildpacks: gives the user’s and, from 0.11 on, the operator’s variables to buildpacks: %s',
          ],
        },
        {
          line: 1213,
          what: 'each file is one',
          since: '0.11',
          tests: [
            'spec/env: applies the operator’s after the user’s, as defaults unless they say otherwise',
            'spec/env: takes files without a suffix for defaults where the operator says so',
          ],
        },
        {
          line: 1221,
          what: 'they are not in our own environment',
          since: '0.11',
          tests: ['spec/env: lets through what is on the list and nothing else'],
        },
      ],
    },
    {
      section: 'Additional Guidance › Environment › Launch Environment',
      rows: [
        {
          line: 1225,
          what: 'the user sets the launcher’s environment',
          tests: ["launcher/env: keeps the user's and the image's variables, and drops the launcher's own"],
        },
        {
          line: 1227,
          what: 'and the process inherits it',
          tests: ["launcher/env: keeps the user's and the image's variables, and drops the launcher's own"],
        },
        {
          line: 1228,
          what: 'without CNB_APP_DIR, CNB_LAYERS_DIR and CNB_PROCESS_TYPE',
          tests: ["launcher/env: keeps the user's and the image's variables, and drops the launcher's own"],
        },
        { line: 1229, what: 'and /cnb/process in PATH', tests: ['launcher/env: PATH ${before} becomes ${after}'] },
        {
          line: 1230,
          what: 'and with what buildpacks change',
          tests: ['launcher/env: X${suffix}', 'launcher/env: X${suffix}: env, env.launch, env.launch/<process>'],
        },
      ],
    },
    {
      section: 'Additional Guidance › Caching',
      rows: [
        {
          line: 1235,
          what: 'an app’s builds get the same cache',
          tests: [
            'line.e2e: C03 a damaged cache: a warning, a rebuild, the same image',
            'caches/crashes.e2e: C14 leaves one app’s cache alone when another’s is written',
          ],
        },
      ],
    },
    {
      section: 'Additional Guidance › Build Reproducibility',
      rows: [
        {
          line: 1241,
          what: 'the same build gives the same image ID',
          tests: [
            reproducible,
            'line.e2e: gives the same digest from another path, with another umask, time zone, locale and cache',
          ],
        },
        {
          line: 1243,
          what: 'and the same manifest',
          tests: [
            reproducible,
            'line.e2e: gives the same digest from another path, with another umask, time zone, locale and cache',
          ],
        },
        { line: 1246, what: 'times are constant', tests: [reproducible] },
        {
          line: 1254,
          what: 'labels are reproducible',
          tests: [reproducible, 'spec/labels: has the key order that others write, maps sorted'],
        },
      ],
    },
    {
      section: 'Additional Guidance › Map an image reference to a path in the layout directory',
      rows: [
        {
          line: 1266,
          what: 'a tag is registry/repository/tag',
          since: '0.12',
          tests: ['image/reference: %s is %s', layout],
        },
        {
          line: 1268,
          what: 'a digest is registry/repository/algorithm/digest',
          since: '0.12',
          tests: ['image/reference: %s is %s'],
        },
      ],
    },
    {
      section: 'Data Format › Files › analyzed.toml (TOML)',
      rows: [
        {
          line: 1300,
          what: 'the previous image is a digest, an ID or a path',
          tests: [analyzed, layout, 'cli/phase/exporter: -daemon: by image IDs, with a launch cache'],
        },
        {
          line: 1304,
          what: 'its metadata is the label’s',
          tests: [analyzed, 'spec/analyzed: gives back what was written'],
        },
        {
          line: 1305,
          what: 'the run image is a digest, an ID or a path',
          tests: [analyzed, layout, 'cli/phase/exporter: -daemon: by image IDs, with a launch cache'],
        },
        { line: 1309, what: 'and the name it was given', tests: [analyzed] },
        {
          line: 1311,
          what: 'distribution data comes from os-release, and the bionic stack is known',
          since: '0.12',
          deviates:
            'of the bionic stack only the distribution is assumed: its image says itself for which architecture it is',
          tests: [
            'spec/target: knows the distribution of the bionic stack',
            'spec/target: takes the labels before os-release',
          ],
        },
      ],
    },
    {
      section: 'Data Format › Files › group.toml (TOML)',
      rows: [
        {
          line: 1335,
          what: 'each buildpack has id, version and api',
          tests: [ordinary, 'spec/documents: D01 D02 refuses %j'],
        },
      ],
    },
    {
      section: 'Data Format › Files › metadata.toml (TOML)',
      rows: [
        {
          line: 1365,
          what: 'each buildpack has id, version and api',
          tests: [gathered, 'spec/metadata: %s refuses a forged one: %j'],
        },
        { line: 1367, what: 'a process for all environments has *', since: '0.15', tests: [gathered] },
        { line: 1368, what: 'a limited one has its own', since: '0.15', tests: [gathered] },
        {
          line: 1369,
          what: 'none means *',
          since: '0.15',
          tests: [
            'launcher/process: eligible: ${title}',
            'spec/metadata: asks for the environment only where the process is limited',
          ],
        },
      ],
    },
    {
      section: 'Data Format › Files › order.toml (TOML)',
      rows: [
        {
          line: 1389,
          what: 'each element has id and version',
          tests: ['cli/phase/buildpacks: an element of an order without a version is an error that names it'],
        },
        {
          line: 1390,
          what: 'optional is false unless it is said',
          tests: ['spec/documents: reads groups and extensions'],
        },
      ],
    },
    {
      section: 'Data Format › Files › plan.toml (TOML)',
      rows: [
        {
          line: 1410,
          what: 'each entry has a provider',
          tests: ['spec/plan: refuses %j', 'spec/resolve-plan: holds what the spec says of any group'],
        },
        {
          line: 1411,
          what: 'an extension says so',
          tests: [
            'spec/resolve-plan: an extension provides for a later buildpack, and is left out where nothing requires what it provides',
          ],
        },
        {
          line: 1411,
          what: 'everything else is none',
          tests: [
            'spec/resolve-plan: an extension provides for a later buildpack, and is left out where nothing requires what it provides',
          ],
        },
        { line: 1412, what: 'and a requirement', tests: ['spec/plan: refuses %j'] },
        {
          line: 1413,
          what: 'all of one name',
          tests: ['spec/plan: refuses %j', 'spec/resolve-plan: holds what the spec says of any group'],
        },
      ],
    },
    {
      section: 'Data Format › Files › project-metadata.toml (TOML)',
      rows: [
        { line: 1430, what: 'type says what kind of place the source is', notApplicable: platformKeeps },
        { line: 1431, what: 'version says which source it is', notApplicable: platformKeeps },
      ],
    },
    {
      section: 'Data Format › Files › report.toml (TOML)',
      rows: [
        {
          line: 1444,
          what: 'all tags',
          tests: ['cli/phase/exporter: exports to several repositories of a registry'],
        },
        {
          line: 1446,
          what: 'for a registry the digest',
          tests: ['cli/phase/exporter: writes config, labels and report as that API has them'],
        },
        {
          line: 1447,
          what: 'and the manifest’s size',
          tests: [
            'phases/export: is described by the report',
            'cli/phase/rebaser: puts the app on the run image that it names, and reports it',
          ],
        },
        {
          line: 1449,
          what: 'for a daemon the image ID',
          tests: ['cli/phase/exporter: -daemon: by image IDs, with a launch cache'],
        },
      ],
    },
    {
      section: 'Data Format › Files › run.toml (TOML)',
      rows: [
        {
          line: 1461,
          what: 'no mirrors without an image',
          since: '0.12',
          tests: ['spec/documents: refuses mirrors without an image'],
        },
        { line: 1464, what: 'mirrors have the image’s ID', notApplicable: platformKeeps },
        { line: 1465, what: 'each is in a registry of its own', notApplicable: platformKeeps },
      ],
    },
    {
      section: 'Data Format › Files › system.toml (TOML)',
      rows: [
        {
          line: 1485,
          what: 'each buildpack has id and version',
          since: '0.15',
          tests: ['cli/phase/buildpacks: an element of an order without a version is an error that names it'],
        },
        {
          line: 1486,
          what: 'optional is false unless it is said',
          since: '0.15',
          tests: ['spec/documents: puts the operator’s buildpacks around each group, unless it has them'],
        },
      ],
    },
    {
      section: 'Data Format › Labels › io.buildpacks.build.metadata (JSON)',
      rows: [
        {
          line: 1535,
          what: 'all processes',
          tests: [
            'phases/export: has a combined list of processes, in which later buildpacks win',
            'spec/labels: says who built and what can be started',
          ],
        },
        {
          line: 1536,
          what: 'all buildpacks',
          tests: [
            'phases/export: has a combined list of processes, in which later buildpacks win',
            'spec/labels: says who built and what can be started',
          ],
        },
        { line: 1537, what: 'the launcher’s version', tests: ['spec/labels: says who built and what can be started'] },
        {
          line: 1538,
          what: 'its repository',
          deviates:
            'the key is there and empty: the commit is not known when the launcher is built, and an image must not depend on a checkout',
          tests: ['spec/labels: says who built and what can be started'],
        },
        {
          line: 1539,
          what: 'its commit',
          deviates:
            'the key is there and empty: the commit is not known when the launcher is built, and an image must not depend on a checkout',
          tests: ['spec/labels: says who built and what can be started'],
        },
      ],
    },
    {
      section: 'Data Format › Labels › io.buildpacks.lifecycle.metadata (JSON)',
      rows: [
        {
          line: 1583,
          what: 'an entry for each app layer',
          tests: ['phases/export: is a layer for each slice, those of earlier buildpacks first, and one for the rest'],
        },
        {
          line: 1584,
          what: 'with its diffID',
          tests: ['phases/export: is a layer for each slice, those of earlier buildpacks first, and one for the rest'],
        },
        { line: 1585, what: 'the SBOM layer’s diffID', tests: ['phases/export: for launch are a layer of the image'] },
        { line: 1586, what: 'the config layer’s', tests: [composed] },
        { line: 1587, what: 'the launcher layer’s', tests: [composed] },
        { line: 1588, what: 'an entry for each buildpack', tests: [label] },
        { line: 1589, what: 'with its ID', tests: [label] },
        { line: 1590, what: 'its version', tests: [label] },
        { line: 1591, what: 'and an entry for each launch layer', tests: [label] },
        { line: 1593, what: 'by its name', tests: [label] },
        { line: 1594, what: 'with what its TOML says', tests: [label] },
        { line: 1595, what: 'and its diffID', tests: [label] },
        {
          line: 1596,
          what: 'the run image’s names are those of run.toml',
          tests: ['cli/phase/exporter: run.toml has the mirrors of the run image for the label'],
        },
        {
          line: 1597,
          what: 'its top layer’s diffID',
          tests: [
            'phases/export: says what its run image is',
            'phases/analyze: is its name, its digest in the repository, its top layer and its mirrors',
          ],
        },
        {
          line: 1598,
          what: 'and a reference that is its alone',
          tests: [
            'phases/export: says what its run image is',
            'phases/analyze: is its name, its digest in the repository, its top layer and its mirrors',
          ],
        },
      ],
    },
    {
      section: 'Data Format › Labels › io.buildpacks.project.metadata (JSON)',
      rows: [
        {
          line: 1618,
          what: 'project-metadata.toml as JSON',
          tests: [
            'phases/export: has the project’s metadata and the run image’s rebasable label',
            'spec/labels: has sorted data',
          ],
        },
      ],
    },
    {
      section: 'Deprecations › io.buildpacks.stack.* Labels',
      rows: [
        { line: 1628, what: 'base images keep the stack labels', tests: [stack] },
        {
          line: 1637,
          what: 'CNB_STACK_ID reaches buildpacks',
          tests: ['spec/env: lets through what is on the list and nothing else'],
        },
        { line: 1639, what: 'platforms move to Buildpack API 0.10', notApplicable: platformKeeps },
      ],
    },
    {
      section: 'Deprecations › io.buildpacks.lifecycle.metadata (JSON) stack Key',
      rows: [
        {
          line: 1656,
          what: 'stack says the same as runImage',
          tests: [
            'spec/labels: has the key order that others write, maps sorted',
            'spec/labels: gives kpack a stack.runImage.image it can parse even when only the reference is known',
          ],
        },
        { line: 1658, what: 'platforms read runImage', tests: ['spec/labels: reads %s, whatever is missing'] },
      ],
    },
  ],
}
