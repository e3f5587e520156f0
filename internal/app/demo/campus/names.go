package campus

// name is one part of a name in the three scripts.
type name struct{ kanji, kana, latin string }

func families() []name {
	return []name{
		{"佐藤", "サトウ", "Sato"}, {"鈴木", "スズキ", "Suzuki"}, {"高橋", "タカハシ", "Takahashi"}, {"田中", "タナカ", "Tanaka"},
		{"伊藤", "イトウ", "Ito"}, {"渡邊", "ワタナベ", "Watanabe"}, {"山本", "ヤマモト", "Yamamoto"}, {"中村", "ナカムラ", "Nakamura"},
		{"小林", "コバヤシ", "Kobayashi"}, {"加藤", "カトウ", "Kato"}, {"吉田", "ヨシダ", "Yoshida"}, {"山田", "ヤマダ", "Yamada"},
		{"佐々木", "ササキ", "Sasaki"}, {"山口", "ヤマグチ", "Yamaguchi"}, {"松本", "マツモト", "Matsumoto"}, {"井上", "イノウエ", "Inoue"},
		{"木村", "キムラ", "Kimura"}, {"林", "ハヤシ", "Hayashi"}, {"齋藤", "サイトウ", "Saito"}, {"清水", "シミズ", "Shimizu"},
		{"山崎", "ヤマザキ", "Yamazaki"}, {"森", "モリ", "Mori"}, {"池田", "イケダ", "Ikeda"}, {"橋本", "ハシモト", "Hashimoto"},
		{"阿部", "アベ", "Abe"}, {"石川", "イシカワ", "Ishikawa"}, {"前田", "マエダ", "Maeda"}, {"藤田", "フジタ", "Fujita"},
		{"後藤", "ゴトウ", "Goto"}, {"岡田", "オカダ", "Okada"}, {"長谷川", "ハセガワ", "Hasegawa"}, {"村上", "ムラカミ", "Murakami"},
		{"近藤", "コンドウ", "Kondo"}, {"石井", "イシイ", "Ishii"}, {"坂本", "サカモト", "Sakamoto"}, {"遠藤", "エンドウ", "Endo"},
		{"青木", "アオキ", "Aoki"}, {"藤井", "フジイ", "Fujii"}, {"西村", "ニシムラ", "Nishimura"}, {"福田", "フクダ", "Fukuda"},
		{"太田", "オオタ", "Ota"}, {"三浦", "ミウラ", "Miura"}, {"岡本", "オカモト", "Okamoto"}, {"松田", "マツダ", "Matsuda"},
		{"中島", "ナカジマ", "Nakajima"}, {"髙野", "タカノ", "Takano"}, {"原田", "ハラダ", "Harada"}, {"小川", "オガワ", "Ogawa"},
	}
}

func givens() []name {
	return []name{
		{"太郎", "タロウ", "Taro"}, {"花子", "ハナコ", "Hanako"}, {"陽翔", "ハルト", "Haruto"}, {"結衣", "ユイ", "Yui"},
		{"蓮", "レン", "Ren"}, {"葵", "アオイ", "Aoi"}, {"湊", "ミナト", "Minato"}, {"凛", "リン", "Rin"},
		{"悠真", "ユウマ", "Yuma"}, {"陽菜", "ヒナ", "Hina"}, {"樹", "イツキ", "Itsuki"}, {"咲良", "サクラ", "Sakura"},
		{"大翔", "ヒロト", "Hiroto"}, {"美月", "ミツキ", "Mitsuki"}, {"蒼", "アオ", "Ao"}, {"芽依", "メイ", "Mei"},
		{"健太", "ケンタ", "Kenta"}, {"美咲", "ミサキ", "Misaki"}, {"翔太", "ショウタ", "Shota"}, {"彩", "アヤ", "Aya"},
		{"直樹", "ナオキ", "Naoki"}, {"真由美", "マユミ", "Mayumi"}, {"誠", "マコト", "Makoto"}, {"恵子", "ケイコ", "Keiko"},
		{"隆", "タカシ", "Takashi"}, {"由紀", "ユキ", "Yuki"}, {"浩一", "コウイチ", "Koichi"}, {"智子", "トモコ", "Tomoko"},
		{"修", "オサム", "Osamu"}, {"久美子", "クミコ", "Kumiko"}, {"哲也", "テツヤ", "Tetsuya"}, {"明美", "アケミ", "Akemi"},
		{"健一", "ケンイチ", "Kenichi"}, {"洋子", "ヨウコ", "Yoko"}, {"亮", "リョウ", "Ryo"}, {"千尋", "チヒロ", "Chihiro"},
	}
}

// The words that the demo's passwords are made of: three of them and a number are
// easy to type from a screen and long enough to stand alone.
func scenery() []string {
	return []string{
		"umi", "yama", "kawa", "mori", "sora", "kumo", "ame", "yuki", "kaze", "hoshi", "tsuki", "niwa", "machi", "hashi", "eki",
		"fune", "tori", "kani", "usagi", "kitsune", "tanuki", "matsu", "take", "sakura", "momiji", "kiku", "ajisai", "shiro", "aoi", "midori",
	}
}
