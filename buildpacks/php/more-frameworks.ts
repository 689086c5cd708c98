/** A framework that needs no build step of its own. */
interface Simple {
  readonly name: string
  /** Any of these packages indicates the framework. */
  readonly packages: readonly string[]
  /** Extensions that its applications use but rarely declare, beside those for databases. */
  readonly extensions: readonly string[]
  /** Directories that it writes to at run time. */
  readonly written: readonly string[]
  /** The name of the served directory in `written`. */
  readonly usualRoot?: string
  /** Variables at launch, unless set. */
  readonly launch?: Readonly<Record<string, string>>
}

const below = (dir: string, ...names: readonly string[]) => [dir, ...names.map(name => `${dir}/${name}`)]

export const moreFrameworks: readonly Simple[] = [
  {
    name: 'CodeIgniter',
    packages: ['codeigniter4/framework', 'codeigniter4/codeigniter4'],
    extensions: ['intl'],
    written: below('writable', 'cache', 'logs', 'session', 'uploads', 'debugbar'),
    launch: { CI_ENVIRONMENT: 'production' },
  },
  {
    name: 'CakePHP',
    packages: ['cakephp/cakephp'],
    extensions: ['intl'],
    written: [...below('tmp', 'cache', 'cache/models', 'cache/persistent', 'cache/views', 'sessions', 'tests'), 'logs'],
  },
  {
    name: 'Yii',
    packages: ['yiisoft/yii2'],
    extensions: ['intl', 'gd'],
    written: ['runtime', 'web/assets'],
    usualRoot: 'web',
  },
  {
    name: 'Drupal',
    packages: ['drupal/core', 'drupal/core-recommended'],
    extensions: ['gd'],
    written: ['web/sites/default/files'],
    usualRoot: 'web',
  },
  {
    name: 'Bedrock',
    packages: ['roots/wordpress', 'roots/bedrock-autoloader'],
    extensions: ['gd', 'intl', 'zip'],
    written: ['web/app/uploads', 'web/app/cache'],
    usualRoot: 'web',
  },
  {
    name: 'Craft',
    packages: ['craftcms/cms'],
    extensions: ['bcmath', 'gd', 'intl', 'zip'],
    written: [...below('storage', 'logs', 'runtime', 'backups'), 'web/cpresources'],
    usualRoot: 'web',
  },
  {
    name: 'TYPO3',
    packages: ['typo3/cms-core'],
    extensions: ['gd', 'intl', 'zip'],
    written: [...below('var', 'cache', 'log', 'lock', 'session'), 'public/typo3temp', 'public/fileadmin'],
    usualRoot: 'public',
  },
  { name: 'Nette', packages: ['nette/application'], extensions: ['intl'], written: ['temp', 'temp/cache', 'log'] },
]
