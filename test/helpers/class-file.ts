/**
 * A class file with a method `main` and a constructor without parameters, and a constant of each size before its name (Java Virtual Machine
 * Specification, 4.1). `version` is the format: 44 more than that of Java.
 */
export function classFile(
  name: string,
  {
    flags = 0x9,
    descriptor = '([Ljava/lang/String;)V',
    version = 65,
    initializer = 0x1,
    access = 0x21,
    uses = name,
  }: {
    readonly flags?: number
    readonly descriptor?: string
    readonly version?: number
    /** The access flags of the constructor. */
    readonly initializer?: number
    readonly access?: number
    /** Another class. */
    readonly uses?: string
  } = {},
): Buffer {
  const u2 = (...values: number[]) => Buffer.from(values.flatMap(value => [value >> 8, value & 0xff]))
  const text = (value: string) => Buffer.concat([Buffer.from([1]), u2(value.length), Buffer.from(value)])
  const long = Buffer.concat([Buffer.from([5]), Buffer.alloc(8)]) // takes two places
  const own = [text(name), Buffer.concat([Buffer.from([7]), u2(1)]), long, text('main'), text(descriptor)]
  const constants = [...own, text('<init>'), text('()V'), text(uses), Buffer.concat([Buffer.from([7]), u2(9)])]
  return Buffer.concat([
    Buffer.from([0xca, 0xfe, 0xba, 0xbe]),
    u2(0, version, constants.length + 2),
    ...constants,
    u2(access, 2, 0, 0, 0, 2),
    u2(initializer, 7, 8, 0),
    u2(flags, 5, 6, 0, 0),
  ])
}
