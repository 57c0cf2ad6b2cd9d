/** A number of bytes for people: '713 bytes', '1.5 MB', '212 GB'. */
export function formatBytes(bytes: number): string {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  if (power === 0) return `${Math.round(bytes)} bytes`;
  const value = bytes / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${['kB', 'MB', 'GB', 'TB'][power - 1]}`;
}
