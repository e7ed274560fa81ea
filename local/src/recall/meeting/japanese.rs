//! A short meeting in a language without spaces between words.

use super::file::{Pace, Person, Speech, Turn};

const JAPANESE: Pace = Pace { word: 60_000.0, character: 115_000.0 };

pub(super) const PEOPLE: [Person; 3] = [
    Person { name: "佐藤 健", is_host: true },
    Person { name: "鈴木 美咲", is_host: false },
    Person { name: "高橋 翔太", is_host: false },
];

pub(super) const SILENT: [&str; 2] = ["田中 さくら", "伊藤 大輔"];

/// The speaker, and the words as a transcriber splits them.
const OPENING: [(usize, &str); 4] = [
    (0, "おはよう ございます。 それでは 定例 会議 を 始めます。"),
    (1, "おはよう ございます。 よろしく お願い します。"),
    (2, "よろしく お願い します。 すみません、 少し 遅れました。"),
    (0, "大丈夫 です。 では まず、 先週 の 進捗 から 確認 しましょう。"),
];

const MIDDLE: [(usize, &str); 16] = [
    (1, "検索 画面 の 改善 は 予定 通り 進んで います。 残り は テスト だけ です。"),
    (0, "ありがとう ございます。 テスト は いつ 頃 終わり そう です か？"),
    (1, "木曜日 まで に は 終わる と 思います。"),
    (2, "決済 の 方 です が、 海外 の カード で エラー が 出る こと が あります。"),
    (0, "原因 は 分かって います か？"),
    (2, "住所 の 確認 処理 が 遅い よう です。 今日 中 に ログ を 調べます。"),
    (1, "サポート に も 同じ 問い合わせ が 三件 来て います。"),
    (0, "では、 お客様 に は 私 から 連絡 して おきます。"),
    (2, "新しい 管理 画面 に ついて、 デザイン の 確認 を お願い したい です。"),
    (1, "はい、 明日 の 午前中 に 見て おきます。"),
    (0, "来月 の リリース 計画 です が、 一週間 延ばす 案 が 出て います。"),
    (2, "私 は 賛成 です。 品質 を 優先 した 方 が いい と 思います。"),
    (1, "ただ、 営業 チーム に は 早め に 伝えた 方 が いい です ね。"),
    (0, "そう です ね。 資料 を 更新 して、 今週 中 に 共有 します。"),
    (1, "アプリ の 起動 時間 は、 前回 より 二割 ほど 短く なりました。"),
    (2, "それ は 助かります。 古い 端末 でも 確認 して みます。"),
];

const CLOSING: [(usize, &str); 4] = [
    (0, "ほか に 何か あります か？"),
    (1, "いえ、 私 から は 以上 です。"),
    (2, "私 も 大丈夫 です。"),
    (0, "では、 今日 は ここ まで に します。 お疲れ様 でした。"),
];

/// About two minutes. The seed changes the times and the start of the middle part.
pub(super) fn japanese(seed: u64) -> Vec<Turn> {
    let mut speech = Speech::new(fastrand::Rng::with_seed(seed), JAPANESE);
    let mut middle = MIDDLE;
    // The parts come in pairs, so that an answer follows its question.
    middle.rotate_left(speech.random.usize(..MIDDLE.len() / 8) * 8);
    for (index, (speaker, text)) in OPENING.into_iter().chain(middle).chain(CLOSING).enumerate() {
        speech.say(speaker, text.split(' '));
        if index % 7 == 5 {
            speech.interject((speaker + 1) % PEOPLE.len(), ["はい。"]);
        }
    }
    speech.turns
}
