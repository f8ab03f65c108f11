use std::path::{Path, PathBuf};

use bytes::Bytes;
use hound::{SampleFormat, WavReader};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use tachograph_core::wire::SAMPLE_RATE;

/// Frames that the resampler works on at once.
const RESAMPLER_CHUNK: usize = 1024;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub(super) enum AudioError {
    #[error("cannot read {path}: {cause}; it must be a WAV file")]
    Unreadable { path: PathBuf, cause: hound::Error },
    #[error("{0} holds no audio")]
    Empty(PathBuf),
    #[error("cannot bring {path} to 16 kHz: {cause}")]
    Resample { path: PathBuf, cause: String },
}

/// A WAV file of any rate, width and number of channels as PCM16LE, mono, 16 kHz.
pub(super) fn load(path: &Path) -> Result<Bytes, AudioError> {
    let unreadable = |cause| AudioError::Unreadable { path: path.to_owned(), cause };
    let reader = WavReader::open(path).map_err(unreadable)?;
    convert(reader, path)
}

/// The same for a file in memory, which `name` names.
pub(super) fn load_embedded(file: &[u8], name: &str) -> Result<Bytes, AudioError> {
    let path = Path::new(name);
    let unreadable = |cause| AudioError::Unreadable { path: path.to_owned(), cause };
    convert(WavReader::new(file).map_err(unreadable)?, path)
}

fn convert(mut reader: WavReader<impl std::io::Read>, path: &Path) -> Result<Bytes, AudioError> {
    let rate = reader.spec().sample_rate;
    let mono = read_mono(&mut reader).map_err(|cause| AudioError::Unreadable { path: path.to_owned(), cause })?;
    if mono.is_empty() {
        return Err(AudioError::Empty(path.to_owned()));
    }
    let resampled = resample(mono, rate)
        .map_err(|cause| AudioError::Resample { path: path.to_owned(), cause: cause.to_string() })?;
    Ok(resampled.into_iter().flat_map(|sample| to_pcm16(sample).to_le_bytes()).collect())
}

/// The mean of the channels, -1 to 1.
fn read_mono(reader: &mut WavReader<impl std::io::Read>) -> Result<Vec<f32>, hound::Error> {
    let spec = reader.spec();
    let samples: Vec<f32> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        SampleFormat::Int => {
            let full_scale = 2_f32.powi(i32::from(spec.bits_per_sample) - 1);
            reader
                .samples::<i32>()
                .map(|sample| Ok(sample? as f32 / full_scale))
                .collect::<Result<_, hound::Error>>()?
        }
    };
    let channels = usize::from(spec.channels.max(1));
    Ok(samples.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect())
}

fn resample(samples: Vec<f32>, rate: u32) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    if rate == SAMPLE_RATE {
        return Ok(samples);
    }
    let mut resampler = Fft::<f32>::new(rate as usize, SAMPLE_RATE as usize, RESAMPLER_CHUNK, 1, FixedSync::Both)?;
    let input = InterleavedSlice::new(&samples, 1, samples.len())?;
    Ok(resampler.process_all(&input, samples.len(), None)?.take_data())
}

fn to_pcm16(sample: f32) -> i16 {
    // Float to integer saturates.
    (sample * f32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A second of a 440 Hz tone at half of full scale.
    fn tone(rate: u32, channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample, sample_format };
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for at in 0..rate {
            let value = (at as f32 / rate as f32 * 440.0 * std::f32::consts::TAU).sin() * 0.5;
            for _ in 0..channels {
                match sample_format {
                    SampleFormat::Float => writer.write_sample(value).unwrap(),
                    SampleFormat::Int => {
                        let full_scale = 2_f32.powi(i32::from(bits_per_sample) - 1) - 1.0;
                        writer.write_sample((value * full_scale) as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    /// How much of the tone's energy is at 440 Hz, and its amplitude.
    fn amplitude_at_440(pcm: &[u8]) -> f64 {
        let samples: Vec<f64> =
            pcm.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]]))).collect();
        let angle = |at: usize| at as f64 / 16_000.0 * 440.0 * std::f64::consts::TAU;
        let (mut re, mut im) = (0.0, 0.0);
        samples.iter().enumerate().for_each(|(at, sample)| {
            re += sample * angle(at).cos();
            im += sample * angle(at).sin();
        });
        (re * re + im * im).sqrt() * 2.0 / samples.len() as f64
    }

    #[test]
    fn every_rate_width_and_channel_count_becomes_the_same_tone_at_16_khz() {
        for (rate, channels, bits, format) in [
            (16_000, 1, 16, SampleFormat::Int),
            (44_100, 2, 16, SampleFormat::Int),
            (48_000, 2, 24, SampleFormat::Int),
            (8_000, 1, 8, SampleFormat::Int),
            (22_050, 1, 32, SampleFormat::Float),
        ] {
            let pcm = load_embedded(&tone(rate, channels, bits, format), "tone").unwrap();
            let seconds = pcm.len() as f64 / 32_000.0;
            assert!((seconds - 1.0).abs() < 0.01, "{rate} Hz: {seconds} s");
            let amplitude = amplitude_at_440(&pcm) / f64::from(i16::MAX);
            assert!((amplitude - 0.5).abs() < 0.03, "{rate} Hz, {bits} bits: {amplitude}");
        }
    }

    #[test]
    fn what_is_no_wav_file_is_refused_by_name() {
        let error = load_embedded(b"not a wav file at all", "x.wav").unwrap_err().to_string();
        assert!(error.contains("x.wav") && error.contains("WAV"), "{error}");
    }
}
