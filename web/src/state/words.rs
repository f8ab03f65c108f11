/// Whether each of the words is in one of the texts, whatever the case of ASCII letters.
pub fn have_words(texts: &[&str], words: &str) -> bool {
    words.split_ascii_whitespace().all(|word| texts.iter().any(|text| has(text, word)))
}

/// Without the search of the standard library, which is faster where texts are long, and larger.
fn has(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::have_words;

    #[test]
    fn all_words_are_searched_for_and_each_in_one_text() {
        let texts = ["Call-7", "mic", "vad"];
        assert!(have_words(&texts, "") && have_words(&texts, " MIC  call "));
        assert!(!have_words(&texts, "mic system") && !have_words(&texts, "7mic"));
    }
}
