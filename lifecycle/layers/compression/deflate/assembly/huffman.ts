// Huffman codes of limited length (RFC 1951, 3.2.2).

// ---- memory layout (static; zero at the start) ----
const SORT_A: usize = 0x4000;     // u32[288]: frequency << 9 | symbol
const SORT_B: usize = 0x4800;     // u32[288]
const RADIX: usize = 0x5000;      // u32[256]
const NODE_F: usize = 0x5400;     // u32[576]: Huffman tree: frequency
const NODE_P: usize = 0x5e00;     // u16[576]: parent, then depth
const COUNT: usize = 0x6300;      // u32[17]: codes of each length

// @ts-ignore: decorator
@inline export function bump(table: usize, i: u32): void {
  const p = table + (<usize>i << 2);
  store<u32>(p, load<u32>(p) + 1);
}

// Makes a complete prefix code of at most maxLen bits for n symbols: lengths to
// lens (u8) and bit-reversed codes to codes (u16). At least two symbols get a code.
export function buildCode(freq: usize, n: u32, maxLen: u32, lens: usize, codes: usize): void {
  memory.fill(lens, 0, n);
  let used: u32 = 0;
  for (let i: u32 = 0; i < n; i++) if (load<u32>(freq + (<usize>i << 2))) used++;
  for (let i: u32 = 0; used < 2; i++) {
    const p = freq + (<usize>i << 2);
    if (!load<u32>(p)) { store<u32>(p, 1); used++; }
  }
  const sorted = sortSymbols(freq, n);
  buildTree(sorted, used);
  countLengths(used, maxLen);
  // Rarest symbols get the longest codes.
  let at = sorted;
  for (let d = maxLen; d > 0; d--) {
    for (let c = load<u32>(COUNT + (<usize>d << 2)); c > 0; c--, at += 4) store<u8>(lens + (load<u32>(at) & 511), <u8>d);
  }
  assignCodes(n, maxLen, lens, codes);
}

// Sorts the used symbols by frequency, with a radix sort (stable, so ties
// go by symbol). Returns their address.
function sortSymbols(freq: usize, n: u32): usize {
  let m: usize = 0;
  for (let i: u32 = 0; i < n; i++) {
    const f = load<u32>(freq + (<usize>i << 2));
    if (f) { store<u32>(SORT_A + m, f << 9 | i); m += 4; }
  }
  let src = SORT_A, dst = SORT_B;
  for (let shift: u32 = 9; shift < 32; shift += 8) {
    memory.fill(RADIX, 0, 1024);
    for (let p: usize = 0; p < m; p += 4) bump(RADIX, (load<u32>(src + p) >>> shift) & 255);
    let sum: u32 = 0;
    for (let p: usize = RADIX; p < RADIX + 1024; p += 4) { const c = load<u32>(p); store<u32>(p, sum); sum += c; }
    for (let p: usize = 0; p < m; p += 4) {
      const k = load<u32>(src + p), r = RADIX + (<usize>((k >>> shift) & 255) << 2), at = load<u32>(r);
      store<u32>(r, at + 1);
      store<u32>(dst + (<usize>at << 2), k);
    }
    const t = src; src = dst; dst = t;
  }
  return src;
}

// Huffman's algorithm with two queues: leaves 0..used-1, inner nodes used..2*used-2.
function buildTree(sorted: usize, used: u32): void {
  for (let i: u32 = 0; i < used; i++) store<u32>(NODE_F + (<usize>i << 2), load<u32>(sorted + (<usize>i << 2)) >>> 9);
  let leaf: u32 = 0, inner: u32 = used;
  for (let node: u32 = used; node <= 2 * used - 2; node++) {
    let sum: u32 = 0;
    for (let k = 0; k < 2; k++) {
      let pick: u32;
      if (leaf < used && (inner >= node || load<u32>(NODE_F + (<usize>leaf << 2)) <= load<u32>(NODE_F + (<usize>inner << 2)))) pick = leaf++;
      else pick = inner++;
      sum += load<u32>(NODE_F + (<usize>pick << 2));
      store<u16>(NODE_P + (<usize>pick << 1), <u16>node);
    }
    store<u32>(NODE_F + (<usize>node << 2), sum);
  }
}

// Counts the leaves of the tree at each depth, none deeper than maxLen.
function countLengths(used: u32, maxLen: u32): void {
  const root: u32 = 2 * used - 2;
  memory.fill(COUNT, 0, 68);
  store<u16>(NODE_P + (<usize>root << 1), 0);
  let kraft: u32 = 0;                                 // in units of 2^-maxLen
  for (let i: i32 = <i32>root - 1; i >= 0; i--) {
    const p = NODE_P + (<usize>i << 1);
    const depth: u32 = <u32>load<u16>(NODE_P + (<usize>load<u16>(p) << 1)) + 1;
    store<u16>(p, <u16>depth);
    if (<u32>i < used) { const d = min(depth, maxLen); bump(COUNT, d); kraft += 1 << (maxLen - d); }
  }
  // Over-full after the cut: move a code of the longest shorter length down one
  // level, beside one taken from the bottom; each step frees one unit.
  for (; kraft > <u32>1 << maxLen; kraft--) {
    let d = maxLen - 1;
    while (!load<u32>(COUNT + (<usize>d << 2))) d--;
    const p = COUNT + (<usize>d << 2);
    store<u32>(p, load<u32>(p) - 1);
    store<u32>(p, load<u32>(p, 4) + 2, 4);
    const q = COUNT + (<usize>maxLen << 2);
    store<u32>(q, load<u32>(q) - 1);
  }
}

// Canonical codes for the lengths; RADIX holds the next code of each length.
function assignCodes(n: u32, maxLen: u32, lens: usize, codes: usize): void {
  let code: u32 = 0;
  for (let d: u32 = 1; d <= maxLen; d++) {
    store<u32>(RADIX + (<usize>d << 2), code);
    code = (code + load<u32>(COUNT + (<usize>d << 2))) << 1;
  }
  for (let i: u32 = 0; i < n; i++) {
    const d: u32 = load<u8>(lens + i);
    if (!d) continue;
    const p = RADIX + (<usize>d << 2);
    let c = load<u32>(p);
    store<u32>(p, c + 1);
    c = (c & 0x5555) << 1 | (c >>> 1 & 0x5555);
    c = (c & 0x3333) << 2 | (c >>> 2 & 0x3333);
    c = (c & 0x0f0f) << 4 | (c >>> 4 & 0x0f0f);
    c = (c & 0x00ff) << 8 | c >>> 8;
    store<u16>(codes + (<usize>i << 1), <u16>(c >>> (16 - d)));
  }
}
