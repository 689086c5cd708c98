/** A class file with one method, `main`, and a constant of each size before its name (Java Virtual Machine Specification, 4.1). */
export function classFile(name: string, { flags = 0x9, descriptor = '([Ljava/lang/String;)V' } = {}): Buffer {
  const u2 = (...values: number[]) => Buffer.from(values.flatMap(value => [value >> 8, value & 0xff]))
  const text = (value: string) => Buffer.concat([Buffer.from([1]), u2(value.length), Buffer.from(value)])
  const long = Buffer.concat([Buffer.from([5]), Buffer.alloc(8)]) // takes two places
  const constants = [text(name), Buffer.concat([Buffer.from([7]), u2(1)]), long, text('main'), text(descriptor)]
  return Buffer.concat([
    Buffer.from([0xca, 0xfe, 0xba, 0xbe]),
    u2(0, 65, constants.length + 2),
    ...constants,
    u2(0x21, 2, 0, 0, 0, 1),
    u2(flags, 5, 6, 0, 0),
  ])
}
